"""A kept network from the command line: python -m lib predict, test and export."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

# fastai reaches for corners of torch that are on their way out
warnings.filterwarnings("ignore", category=FutureWarning, module="torch")

USE = "For research and teaching: no medical device, not for the care of patients."
SHOWN = 10  # files at fault that are listed
SHOWN_OF_TEST = ("ACC", "AUC", "F1", "dice_nodule", "dice_class_mean", "inconsis_cls")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: all is done; 1: some files could not be answered, the table says why; 2: nothing was done.

    >>> main(["export", "nowhere.safetensors", "--onnx", "a.onnx"])
    2
    """
    asked = _parser().parse_args(words)
    from .checkpoint import CheckpointError
    from .export import ExportError

    try:
        return asked.run(asked)
    except (CheckpointError, ExportError, ValueError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        named = f"{Path(error.filename).name}: " if error.filename else ""
        print(f"{named}{error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib", description="A kept network at work.",
                                     epilog=USE)  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser("predict", help="answer pictures into a folder", epilog=USE)
    predict.add_argument("model", help="NAME.safetensors, as a run keeps it")
    predict.add_argument("images", nargs="+", help="pictures, DICOM files, folders of them")
    predict.add_argument("--out", required=True, help="the folder to write into")
    predict.add_argument("--engine", default="auto", choices=("auto", "torch", "onnx"))
    predict.add_argument("--again", action="store_true", help="answer everything anew")
    predict.set_defaults(run=_predict)
    test = commands.add_parser("test", help="measure it on another source's images", epilog=USE)
    test.add_argument("model", help="NAME.safetensors, as a run keeps it")
    test.add_argument("--source", required=True, help="busi, busbra, ddti, ..., folder")
    test.add_argument("--root", help="its folder; default: where data/fetch.py puts it")
    test.add_argument("--results", help="folder of the results; default: the book's own")
    test.set_defaults(run=_test)
    export = commands.add_parser("export", help="write the network as ONNX", epilog=USE)
    export.add_argument("model", help="NAME.safetensors, as a run keeps it")
    export.add_argument("--onnx", required=True, help="the file to write")
    export.set_defaults(run=_export)
    return parser


def _predict(asked: argparse.Namespace) -> int:
    from . import paths
    from .predictions import TABLE, predict_folder

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    images = [paths.given(one) for one in asked.images]
    done = predict_folder(
        paths.given(asked.model), images, paths.given(asked.out),
        engine=asked.engine, again=asked.again, log=log,
    )  # fmt: skip
    for note in done.notes:
        log(note)
    for name, why in list(done.failed.items())[:SHOWN]:
        log(f"{name}: {why}")
    if len(done.failed) > SHOWN:
        log(f"... and {len(done.failed) - SHOWN} more")
    print(
        f"{done.answered} files answered, {done.stood} stood already, {len(done.failed)} failed: "
        f"{TABLE}"
    )
    print(USE)
    return 1 if done.failed else 0


def _test(asked: argparse.Namespace) -> int:
    from . import external, inference, paths

    predictor = inference.load(paths.given(asked.model))
    cases, problems = external.prepare(asked.source, asked.root, size=predictor.size)
    root = paths.given(asked.results) if asked.results else None
    record = external.measure(predictor, asked.source, cases, problems, root)
    own, here = record["external"], record["data"]
    print(f"{len(cases)} images of {asked.source}, {here['left_out']} left out; in brackets on the")
    print(f"network's own test images ({record['source']})")
    together = record["joint"] or {"metrics": {}}
    for words, found, before in (
        ("as answered", record["metrics"], own["metrics"]),
        ("decided together", together["metrics"], own["joint"] or {}),
    ):
        for name in (name for name in SHOWN_OF_TEST if name in found):
            home = f" ({before[name]:.3f})" if name in before else ""
            print(f"  {words:17}{name:17}{found[name]:.3f}{home}")
    for note in own["notes"]:
        print(f"note: {note}")
    file = "/".join(external.path(record, root).parts[-6:])
    print(f"results: {file}; the book's page Use the network shows it with intervals")
    print(USE)
    return 0


def _export(asked: argparse.Namespace) -> int:
    from . import inference, paths

    predictor = inference.load(paths.given(asked.model))
    file = predictor.to_onnx(paths.given(asked.onnx))
    if not predictor.says_a_class:
        print("Its training images had no class: of its outputs only seg2 was trained.")
    print(f"{file.name}: {file.stat().st_size / 2**20:.1f} MB, equal to torch on 20 pictures")
    print(USE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
