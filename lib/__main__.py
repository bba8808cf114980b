"""A kept network from the command line: python -m lib predict, and python -m lib export."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

# fastai reaches for corners of torch that are on their way out
warnings.filterwarnings("ignore", category=FutureWarning, module="torch")

USE = "For research and teaching: no medical device, not for the care of patients."
SHOWN = 10  # files at fault that are listed


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: all is done; 1: some files could not be answered, the table says why; 2: nothing was done.

    >>> main(["export", "nowhere.safetensors", "--onnx", "a.onnx"])
    2
    """
    asked = _parser().parse_args(words)
    from .checkpoint import CheckpointError
    from .export import ExportError
    from .pictures import PictureError

    try:
        return asked.run(asked)
    except (CheckpointError, ExportError, PictureError, ValueError) as error:
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


def _export(asked: argparse.Namespace) -> int:
    from . import inference, paths

    file = inference.load(paths.given(asked.model)).to_onnx(paths.given(asked.onnx))
    print(f"{file.name}: {file.stat().st_size / 2**20:.1f} MB, equal to torch on 20 pictures")
    print(USE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
