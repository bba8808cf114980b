#!/usr/bin/env python3
"""Fetch a public data set: python data/fetch.py NAME

Downloads where the publisher allows it and a checksum is known, and says what to do by hand where
not. Nothing is written to the data folder until all of it is there and right. Needs only pooch.
"""

import argparse
import contextlib
import difflib
import hashlib
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

HERE = Path(__file__).resolve().parent
MAX_FILES = 20_000  # the largest set, TN3K, has 7000
MAX_BYTES = 4 * 2**30  # downloaded, and again unpacked; the largest set has 0.4 GB
TIMEOUT = 30  # seconds without a byte
UNSOUND = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError)


class FetchError(Exception):
    """Why the data could not be fetched; the message says what to do."""


@dataclass(frozen=True)
class Set:
    """Where a data set is, and how its folder is recognised.

    `needed`: names in its root folder, with "/" for folders. `sha256`: of the archive at `url`.
    `by_hand`: what to do where there is no `url`, or no checksum to verify it by.
    """

    needed: tuple[str, ...]
    by_hand: str
    url: str | None = None
    sha256: str | None = None


SETS = {
    "busbra": Set(
        needed=("Images/", "Masks/", "bus_data.csv", "5-fold-cv.csv"),
        url="https://zenodo.org/records/8231412/files/BUSBRA.zip?download=1",
        sha256="ba3e6ed19cc37c682d8d39e25435bbf8a555a12cb7e641b5f2117685c95580ff",
        by_hand="Download BUSBRA.zip from https://doi.org/10.5281/zenodo.8231412",
    ),
    "busi": Set(
        needed=("benign/", "malignant/", "normal/"),
        url="https://scholar.cu.edu.eg/Dataset_BUSI.zip",
        sha256="b2ce09f6063a31a73f628b6a6ee1245187cbaec225e93e563735691d68654de7",
        by_hand="Download Dataset_BUSI.zip from https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
    ),
    "ddti": Set(
        needed=("1.xml", "1_1.jpg"),
        by_hand=(
            "The publisher gives no checksum and his site moves and is often down. Download all "
            "cases (480 .jpg, 390 .xml) from http://cimalab.unal.edu.co/applications/thyroid/"
        ),
    ),
    "tn3k": Set(
        needed=("trainval-image/", "trainval-mask/", "test-image/", "test-mask/"),
        by_hand=(
            "The authors share it on Google Drive, which allows no plain download: follow the link "
            "in https://github.com/haifangong/TRFE-Net-for-thyroid-nodule-segmentation . The "
            "labels (label4trainval.csv, label4test.csv) come with "
            "https://github.com/chenghui-666/ACL . If it is a .rar file, unpack it yourself"
        ),
    ),
    "tnscui": Set(
        needed=("train.csv", "image/", "mask/"),
        by_hand=(
            "The organisers give it to those who register and sign the agreement: "
            "https://tn-scui2020.grand-challenge.org . You get TNSCUI2020_train.rar: unpack it "
            "yourself"
        ),
    ),
}
NOTHING_TO_FETCH = {
    "phantom": "The phantom is computed, there is nothing to fetch.",
    "phantom-mixed": "The phantom is computed, there is nothing to fetch.",
    "folder": "The source `folder` reads your own images: data/folder.md says how to arrange them.",
}


def fetch(
    name: str,
    root: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    archive: Path | None = None,
) -> None:
    """Put the data set `name` into the new folder `root`.

    Args:
        name: a key of SETS.
        root: must not exist, or be empty.
        url: of another copy of the archive (zip).
        sha256: of that archive; needed where SETS gives none.
        archive: a zip file already downloaded, in place of `url`.

    Raises:
        FetchError: no download is possible, or something is wrong with it. `root` is as before.
    """
    known = SETS[name]
    sha256 = sha256 or known.sha256
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FetchError(f"{root} exists and is not {name} as published: move it away first.")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the last step is a rename within one file system.
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root.parent))
    except OSError as error:
        raise FetchError(f"{error}. Nothing can be put into {root.parent}.") from error
    try:
        if archive is None:
            archive = download(known, name, root, url or known.url, sha256, work)
        else:
            check_archive(archive, sha256)
        unpacked = work / "unpacked"
        unpack(archive, unpacked)
        found = find_set(unpacked, known.needed)
        if root.exists():
            root.rmdir()
        os.replace(found, root)
    except OSError as error:  # among them a full disk
        raise FetchError(f"{error}. Nothing was kept; is there space in {root.parent}?") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


# -------------------------------------------------------------------------------------- download


def download(
    known: Set, name: str, root: Path, url: str | None, sha256: str | None, work: Path
) -> Path:
    """The archive, downloaded into `work` and verified."""
    if url is None or sha256 is None:
        lack = "no checksum is known" if url else "it cannot be downloaded by a script"
        raise FetchError(f"{name}: {lack}.\n{by_hand(known, name, root)}")
    if not url.startswith(("https://", "http://")):
        raise FetchError(f"--url {url}: only http and https are supported.")
    try:
        import pooch
        import requests  # pooch downloads with it
    except ImportError:
        raise FetchError("pooch is not installed: pip install pooch requests") from None
    pooch.get_logger().setLevel("WARNING")
    print(f"Downloading {url}", file=sys.stderr)
    try:
        path = pooch.retrieve(
            url, f"sha256:{sha256}", fname="archive.zip", path=work, downloader=_download
        )
    except requests.RequestException as error:
        raise FetchError(
            f"{url}: the download failed ({error}). Nothing was kept.\n"
            f"Try again later, or by hand:\n{by_hand(known, name, root)}"
        ) from error
    except ValueError as error:  # pooch's word for a wrong checksum
        raise FetchError(
            f"{url}: the checksum is wrong ({error}). The file is damaged, or the publisher has "
            f"changed it, or it is not what it claims to be. Nothing was kept."
        ) from error
    return Path(path)


def _download(url: str, output: str, caller: object) -> None:
    """pooch's HTTP download, with a limit to its size."""
    import pooch

    with Limited(output) as file:
        pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=_has_tqdm())(url, file, caller)


def _has_tqdm() -> bool:
    with contextlib.suppress(ImportError):
        import tqdm  # noqa: F401  pooch draws its progress bar with it

        return True
    return False


class Limited:
    """A file that refuses to grow beyond MAX_BYTES: a server may send without end."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "wb")  # noqa: SIM115  closed by __exit__
        self.left = MAX_BYTES

    def __enter__(self) -> "Limited":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise FetchError(f"the server sends more than {MAX_BYTES} bytes: stopped")
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def check_archive(path: Path, sha256: str | None) -> None:
    """Compare a file's checksum with the known one; print it where none is known."""
    if not path.is_file():
        raise FetchError(f"--archive {path}: no such file")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is None:
        print(f"{path}: sha256 {found} (none is published to compare it with)", file=sys.stderr)
    elif found != sha256:
        raise FetchError(f"{path}: its sha256 is {found}, expected is {sha256}. Download it again.")


def by_hand(known: Set, name: str, root: Path) -> str:
    return (
        f"By hand: {known.by_hand}.\n"
        f"  A zip file: python data/fetch.py {name} --archive FILE.zip\n"
        f"  Or arrange it yourself, so that {root} holds {', '.join(known.needed)}\n"
        f"  data/{name}.md describes the layout, the licence and the known defects."
    )


# ---------------------------------------------------------------------------------------- unpack


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip file into the new folder `target`, or nothing of it if it looks hostile.

    Refused: paths that are absolute or lead out of `target`, links and other special files,
    encrypted or doubled entries, more than MAX_FILES files or MAX_BYTES bytes.

    Raises:
        FetchError: naming the entry at fault.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            check_entries(entries)
            target.mkdir()
            for entry in entries:
                path = target / entry.filename
                if entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, path.open("xb") as copy:
                    shutil.copyfileobj(source, copy, 2**20)  # never more than entry.file_size
    except UNSOUND as error:
        raise FetchError(f"not a sound zip file ({error}). Nothing was unpacked.") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise FetchError(f"one entry of the zip file overwrites another ({error}).") from error


def check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES:
        raise FetchError(f"refused: the archive has {len(entries)} entries, over {MAX_FILES}.")
    size = sum(entry.file_size for entry in entries)
    if size > MAX_BYTES:
        raise FetchError(f"refused: unpacked, the archive has {size} bytes, over {MAX_BYTES}.")
    seen = set()
    for entry in entries:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        windows = PureWindowsPath(name)
        if PurePosixPath(name).is_absolute() or windows.drive or windows.root:
            raise FetchError(f"refused: {name!r} in the archive is an absolute path.")
        if ".." in windows.parts or "\0" in name:  # windows.parts splits at / and at \
            raise FetchError(f"refused: {name!r} in the archive leads out of its folder.")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise FetchError(f"refused: {name!r} in the archive is a link or a special file.")
        if entry.flag_bits & 1:
            raise FetchError(f"refused: {name!r} in the archive is encrypted.")
        if name.casefold() in seen:  # many file systems do not tell case apart
            raise FetchError(f"refused: {name!r} is in the archive twice.")
        seen.add(name.casefold())


def find_set(folder: Path, needed: tuple[str, ...]) -> Path:
    """The folder, at most two levels down, that holds all of `needed`."""
    for candidate in (folder, *sorted(folder.glob("*")), *sorted(folder.glob("*/*"))):
        if is_set(candidate, needed):
            return candidate
    inside = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
    raise FetchError(
        f"the archive does not hold {', '.join(needed)}; it holds {inside}. "
        "Is it another version of the data set?"
    )


def is_set(folder: Path, needed: tuple[str, ...]) -> bool:
    return all(
        (folder / name).is_dir() if name.endswith("/") else (folder / name).is_file()
        for name in needed
    )


# -------------------------------------------------------------------------------------- command


def next_command(name: str, root: Path) -> str:
    folder = shlex.quote(str(root))
    return (
        f".venv/bin/papermill book/experiment.ipynb {name}.ipynb -p source {name} -p root {folder} "
        "-p experiment ms-mtl+intra+inter -p profile laptop -p seed 0"
    )


def given(words: str) -> Path:
    """A path in the arguments: `~`, which a shell leaves alone in quotes, is the home."""
    path = Path(os.path.expanduser(words))
    if path.parts[:1] and path.parts[0].startswith("~") and not os.path.lexists(path):
        raise argparse.ArgumentTypeError(f"{words}: no such home; write the whole path")
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python data/fetch.py", description=__doc__)
    parser.add_argument("name", help=", ".join(SETS))
    parser.add_argument("--root", type=given, help="folder to put it in (default: data/NAME)")
    parser.add_argument("--url", help="download this copy of the archive (zip) instead")
    parser.add_argument("--sha256", help="the archive's checksum, where you know it from elsewhere")
    parser.add_argument("--archive", type=given, help="unpack this zip file instead of downloading")
    options = parser.parse_args(arguments)
    name = options.name
    if name in NOTHING_TO_FETCH:
        print(NOTHING_TO_FETCH[name])
        return 0
    if name not in SETS:
        near = difflib.get_close_matches(name.lower().replace("-", ""), SETS, n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        parser.error(f"unknown data set {name!r}.{hint} Known are {', '.join(SETS)}.")
    if options.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", options.sha256):
        parser.error(f"--sha256 {options.sha256!r} is not 64 hexadecimal digits")
    root = options.root or HERE / name
    try:
        if is_set(root, SETS[name].needed):
            print(f"{root} is there already.")
        else:
            fetch(
                name,
                root,
                url=options.url,
                sha256=(options.sha256 or "").lower() or None,
                archive=options.archive,
            )
            print(f"{name} is in {root}. Licence and known defects: data/{name}.md")
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. Nothing was kept, {root} is as before.", file=sys.stderr)
        return 130
    print(f"Next:\n  {next_command(name, root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
