"""A table as spreadsheets and text editors save it: its encoding, its delimiter, its header.

What is plain is read, and noted where it is not the usual; the rest is refused by its name.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..cases import CaseError

LARGEST_TEXT = 64 * 2**20  # bytes; the largest csv of a published set has 0.3 MB
MARKS = {  # the longer ones first: that of UTF-16 begins that of UTF-32
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8-sig",
}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # .xlsx and .ods are zip files; .xls


def read_text(path: Path) -> tuple[str, list[str]]:
    """The text of a file, and a note if it is not UTF-8.

    The encoding is that of the file's mark, else UTF-8, else Windows-1252, which old spreadsheets
    write.

    Raises:
        CaseError: too large, a workbook, or no text in one of these encodings.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_bytes("Größe".encode("cp1252"))
    ...     read_text(Path(folder, "a.csv"))
    ('Größe', ['no UTF-8: read as Windows-1252'])
    """
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise CaseError(f"{path}: {path.stat().st_size} bytes is too large for a table")
        data = path.read_bytes()
    except OSError as error:
        raise CaseError(f"{path}: cannot be read as a csv file ({error})") from error
    refused = f"{path}: cannot be read as a csv file"
    if data.startswith(WORKBOOK):
        raise CaseError(f"{refused}: it is a workbook; save it as csv, in UTF-8")
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), None)
    if marked is None and 0 in data[:2]:  # the header is Latin letters
        raise CaseError(f"{refused}: UTF-16 without its mark; save it in UTF-8")
    tried = [marked] if marked else ["UTF-8"] if 0 in data else ["UTF-8", "Windows-1252"]
    for encoding in tried:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        usual = encoding.startswith("UTF-8")
        return text, [] if usual else [f"no UTF-8: read as {encoding}"]
    raise CaseError(f"{refused}: its text is not {' and not '.join(tried)}; save it in UTF-8")


def cells(
    path: Path, columns: Sequence[str], *, header: bool = True
) -> tuple[dict[int, list[str]], list[str]]:
    """The rows that hold something, header first, as stripped text; and notes.

    Rows go by the number that a spreadsheet shows: from 1, empty ones and the header counted, a
    line `sep=;` not.

    The delimiter is that of a first line `sep=;`, as spreadsheets write it, else the one by which
    the header holds all `columns`, in any capitals; without a header it is a comma. Empty columns
    at the end are dropped.

    Raises:
        CaseError: as `read_text`; an open quote; a cell of more than 131072 characters.
    """
    text, notes = read_text(path)
    said = re.match(r'\s*"?sep=([^\w"\r\n])"?[,;\t]*\r?\n', text, re.IGNORECASE)
    delimiter = said[1] if said else ","
    try:
        if said:
            text = text[said.end() :]
        elif header:
            delimiter = _delimiter(text, columns)
        rows = dict(_rows(text, delimiter))
    except csv.Error as error:
        raise CaseError(f"{path}: cannot be read as a csv file ({error})") from error
    if delimiter != ",":
        notes.append(f"its cells are separated by {DELIMITERS.get(delimiter, repr(delimiter))}")
    if header and rows:
        first = next(iter(rows.values()))
        while not first[-1]:
            first.pop()
        width = len(first)
        rows = {at: row if any(row[width:]) else row[:width] for at, row in rows.items()}
    return rows, notes


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    for number, row in enumerate(lines, 1):
        stripped = [cell.strip() for cell in row]
        if any(stripped):
            yield number, stripped


def _delimiter(text: str, columns: Sequence[str]) -> str:
    """The one that makes the wanted header; where none does, the one that makes most cells."""
    headers = {mark: _header(text, mark) for mark in DELIMITERS}
    wanted = {column.casefold() for column in columns}
    for mark, header in headers.items():
        if wanted <= {cell.casefold() for cell in header}:
            return mark
    return max(headers, key=lambda mark: len(headers[mark]))


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(_rows(text, delimiter), (1, []))[1]
    except csv.Error:  # as quoted cells are with a wrong delimiter
        return []
