"""data/fetch.py against a server on 127.0.0.1: the good file, and every kind of bad one."""

import errno
import hashlib
import importlib.util
import io
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "data" / "fetch.py"
BUSI = ["benign/benign (1).png", "malignant/malignant (1).png", "normal/normal (1).png"]


@pytest.fixture(scope="module")
def fetch():
    spec = importlib.util.spec_from_file_location("fetch_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def served(monkeypatch):
    """A dict from path to bytes (or to a status code) and the address it is served at."""
    content: dict[str, bytes | int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = content.get(self.path, 404)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            cut = self.path.startswith("/cut")
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2] if cut else answer)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield content, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def make_zip(entries) -> bytes:
    """A zip file of names, or (ZipInfo, bytes)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(*(entry if isinstance(entry, tuple) else (entry, b"a picture")))
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def run(fetch, capsys, *arguments) -> tuple[int, str, str]:
    code = fetch.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_good_archive_arrives_whole(fetch, served, tmp_path, capsys):
    content, address = served
    content["/busi.zip"] = good = make_zip(f"Dataset_BUSI_with_GT/{name}" for name in BUSI)
    root = tmp_path / "my data" / "busi"
    code, out, err = run(
        fetch,
        capsys,
        "busi",
        "--root",
        root,
        "--url",
        f"{address}/busi.zip",
        "--sha256",
        sha256(good),
    )
    assert code == 0, err
    found = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    assert found == BUSI
    assert list(root.parent.iterdir()) == [root]  # no archive, no temporary folder
    assert f"papermill book/experiment.ipynb busi.ipynb -p source busi -p root '{root}'" in out
    # The second call has nothing to do, and does not ask the server again.
    content.clear()
    code, out, _ = run(fetch, capsys, "busi", "--root", root, "--url", f"{address}/busi.zip")
    assert code == 0 and "there already" in out


def test_an_archive_downloaded_by_hand_is_checked_and_unpacked(fetch, tmp_path, capsys):
    archive = tmp_path / "ddti.zip"
    archive.write_bytes(make_zip(["1.xml", "1_1.jpg"]))
    code, _, err = run(fetch, capsys, "ddti", "--root", tmp_path / "ddti", "--archive", archive)
    assert code == 0 and sha256(archive.read_bytes()) in err and "none is published" in err
    assert sorted(p.name for p in (tmp_path / "ddti").iterdir()) == ["1.xml", "1_1.jpg"]
    # BUS-BRA's checksum is known, so this one cannot be it.
    code, _, err = run(fetch, capsys, "busbra", "--root", tmp_path / "b", "--archive", archive)
    assert code == 1 and "expected is ba3e6ed1" in err and not (tmp_path / "b").exists()
    code, _, err = run(fetch, capsys, "ddti", "--root", tmp_path / "c", "--archive", "none.zip")
    assert code == 1 and "none.zip: no such file" in err


@pytest.mark.parametrize(
    ("path", "answer", "digest", "message"),
    [
        ("/a.zip", make_zip(BUSI), "0" * 64, "checksum is wrong"),
        ("/missing.zip", 404, "0" * 64, "404"),
        ("/broken.zip", 500, "0" * 64, "500"),
        ("/cut.zip", make_zip(BUSI), None, "download failed"),
        ("/page.zip", b"<html>please register</html>", None, "not a sound zip file"),
        ("/other.zip", make_zip(["readme.txt"]), None, "it holds readme.txt"),
    ],
)
def test_a_bad_download_leaves_nothing(
    fetch, served, tmp_path, capsys, path, answer, digest, message
):
    content, address = served
    content[path] = answer
    digest = digest or sha256(answer)
    root = tmp_path / "sets" / "busi"
    code, out, err = run(
        fetch, capsys, "busi", "--root", root, "--url", address + path, "--sha256", digest
    )
    assert code == 1 and message in err and "Next" not in out
    assert list(root.parent.iterdir()) == []


def test_no_server_at_all(fetch, tmp_path, capsys):
    code, _, err = run(
        fetch, capsys, "busi", "--root", tmp_path / "busi", "--url", "http://127.0.0.1:9/busi.zip"
    )
    assert code == 1 and "download failed" in err and "by hand" in err
    assert list(tmp_path.iterdir()) == []


def special(name: str, mode: int) -> tuple[zipfile.ZipInfo, bytes]:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # Unix: the mode is in external_attr
    entry.external_attr = mode << 16
    return entry, b"/etc/passwd"


HOSTILE = {
    "parent": (["../evil.txt"], "leads out"),
    "deep parent": (["benign/../../evil.txt"], "leads out"),
    "windows parent": ([r"benign\..\..\evil.txt"], "leads out"),
    "absolute": (["/tmp/evil.txt"], "absolute"),
    "windows drive": (["C:/evil.txt"], "absolute"),
    "windows share": ([r"\\host\share\evil.txt"], "absolute"),
    "link": ([special("benign/link.png", stat.S_IFLNK | 0o777)], "link"),
    "link, then through it": (
        [special("benign", stat.S_IFLNK | 0o777), "benign/evil.txt"],
        "link",
    ),
    "device": ([special("benign/null", stat.S_IFCHR | 0o666)], "special file"),
    "twice, in another case": (["benign/A.png", "benign/a.png"], "twice"),
    "file used as a folder": (["benign/a", "benign/a/b.png"], "overwrites"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused(fetch, tmp_path, capsys, kind):
    entries, message = HOSTILE[kind]
    archive = tmp_path / "a.zip"
    archive.write_bytes(make_zip([*BUSI, *entries]))
    digest = sha256(archive.read_bytes())
    sets = tmp_path / "x" / "sets"
    code, _, err = run(
        fetch, capsys, "busi", "--root", sets / "busi", "--archive", archive, "--sha256", digest
    )
    assert code == 1 and message in err
    assert list(sets.iterdir()) == []
    assert not list(tmp_path.rglob("evil*")) and not Path("/tmp/evil.txt").exists()


def test_bombs_are_refused_before_unpacking(fetch, tmp_path, capsys, monkeypatch):
    archive = tmp_path / "bomb.zip"
    archive.write_bytes(make_zip([*BUSI, ("benign/zeros.png", bytes(2**20))]))
    arguments = ("busi", "--root", tmp_path / "busi", "--archive", archive)
    arguments += ("--sha256", sha256(archive.read_bytes()))
    assert archive.stat().st_size < 2**12
    monkeypatch.setattr(fetch, "MAX_BYTES", 2**19)
    code, _, err = run(fetch, capsys, *arguments)
    assert code == 1 and "refused: unpacked" in err
    monkeypatch.undo()
    monkeypatch.setattr(fetch, "MAX_FILES", 3)
    code, _, err = run(fetch, capsys, *arguments)
    assert code == 1 and "4 entries, over 3" in err
    assert list(tmp_path.iterdir()) == [archive]


def test_an_entry_that_lies_about_its_size_gains_nothing(fetch, tmp_path):
    """1 MB of zeros, declared as 9 bytes: no more than 9 are ever written, then the CRC fails."""
    data = make_zip([("benign/zeros.png", bytes(2**20))])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.infolist()[0]
    true, false = entry.file_size.to_bytes(4, "little"), (9).to_bytes(4, "little")
    assert data.count(true) == 2  # local header and directory
    (tmp_path / "lie.zip").write_bytes(data.replace(true, false))
    with pytest.raises(fetch.FetchError, match="not a sound zip file"):
        fetch.unpack(tmp_path / "lie.zip", tmp_path / "out")
    assert (tmp_path / "out/benign/zeros.png").stat().st_size <= 9


def test_a_server_that_sends_without_end_is_stopped(fetch, served, tmp_path, capsys, monkeypatch):
    content, address = served
    content["/a.zip"] = bytes(2**20)
    monkeypatch.setattr(fetch, "MAX_BYTES", 2**16)
    code, _, err = run(
        fetch, capsys, "busi", "--root", tmp_path / "busi", "--url", f"{address}/a.zip"
    )
    assert code == 1 and "more than 65536 bytes" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["writing", "renaming"])
def test_a_full_disk_or_an_interruption_leaves_nothing(
    fetch, tmp_path, capsys, monkeypatch, moment
):
    archive = tmp_path / "a.zip"
    archive.write_bytes(make_zip(BUSI))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupt(*_):
        raise KeyboardInterrupt

    arguments = ("busi", "--root", tmp_path / "busi", "--archive", archive)
    arguments += ("--sha256", sha256(archive.read_bytes()))
    where = (shutil, "copyfileobj") if moment == "writing" else (os, "replace")
    for accident, code, word in ((full, 1, "No space left"), (interrupt, 130, "Stopped")):
        with monkeypatch.context() as patch:
            patch.setattr(*where, accident)
            got, _, err = run(fetch, capsys, *arguments)
        assert got == code and word in err
        assert list(tmp_path.iterdir()) == [archive]
    assert run(fetch, capsys, *arguments)[0] == 0  # and then it works


def test_what_is_there_is_never_overwritten(fetch, tmp_path, capsys):
    archive = tmp_path / "a.zip"
    archive.write_bytes(make_zip(BUSI))
    root = tmp_path / "busi"
    root.mkdir()
    (root / "notes.txt").write_text("mine")
    digest = sha256(archive.read_bytes())
    code, _, err = run(
        fetch, capsys, "busi", "--root", root, "--archive", archive, "--sha256", digest
    )
    assert code == 1 and "move it away" in err
    assert [p.name for p in root.iterdir()] == ["notes.txt"]


def test_no_download_without_a_checksum(fetch, served, tmp_path, capsys):
    content, address = served
    content["/ddti.zip"] = make_zip(["1.xml", "1_1.jpg"])
    code, _, err = run(
        fetch, capsys, "ddti", "--root", tmp_path / "ddti", "--url", f"{address}/ddti.zip"
    )
    assert code == 1 and "no checksum is known" in err and "--archive" in err


@pytest.mark.parametrize("name", ["ddti", "tn3k", "tnscui"])
def test_what_must_be_done_by_hand_is_said(fetch, tmp_path, capsys, name):
    code, _, err = run(fetch, capsys, name, "--root", tmp_path / name)
    assert code == 1
    assert "By hand" in err and "http" in err and f"data/{name}.md" in err
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(fetch, tmp_path, capsys):
    for arguments, message in (
        (["bus-bra"], "Did you mean busbra"),
        (["busi", "--sha256", "12"], "64 hexadecimal digits"),
    ):
        with pytest.raises(SystemExit):
            fetch.main(arguments)
        assert message in capsys.readouterr().err
    code, _, err = run(
        fetch, capsys, "busi", "--root", tmp_path / "b", "--url", "file:///etc/passwd"
    )
    assert code == 1 and "only http and https" in err


def test_every_set_has_a_card_that_agrees(fetch):
    for name, known in fetch.SETS.items():
        card = (SCRIPT.parent / f"{name}.md").read_text(encoding="utf-8")
        assert f"python data/fetch.py {name}" in card
        for wanted in filter(None, (known.sha256, *known.needed)):
            assert wanted.rstrip("/") in card, f"data/{name}.md does not mention {wanted}"


def test_it_runs_as_a_script_without_the_project(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, "tn3k", "--root", tmp_path / "tn3k"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "By hand" in done.stderr and "Traceback" not in done.stderr


def test_a_zip_file_whose_data_are_damaged(fetch, tmp_path, capsys):
    sound = make_zip([("1.xml", bytes(range(256)) * 40), "1_1.jpg"])
    at = sound.index(b"1.xml") + len(b"1.xml")
    (tmp_path / "bad.zip").write_bytes(sound[:at] + b"\xff" * 20 + sound[at + 20 :])
    code, _, err = run(
        fetch, capsys, "ddti", "--root", tmp_path / "d", "--archive", tmp_path / "bad.zip"
    )
    assert code == 1 and "not a sound zip file" in err and not (tmp_path / "d").exists()


def test_a_folder_that_cannot_be_made_and_one_with_a_quote(fetch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    archive = tmp_path / "ddti.zip"
    archive.write_bytes(make_zip(["1.xml", "1_1.jpg"]))
    where = tmp_path / "file" / "ddti"
    code, _, err = run(fetch, capsys, "ddti", "--root", where, "--archive", archive)
    assert code == 1 and "Nothing can be put into" in err
    words = shlex.split(fetch.next_command("ddti", tmp_path / "it's here"))
    assert str(tmp_path / "it's here") in words
