"""Reads CSV files as spreadsheet programs of different countries write them."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from dataclasses import dataclass

from core.api.errors import Invalid

_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


MOST_ROWS = 20_000
_MOST_COLUMNS = 200
_SEPARATOR = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
# The escape sequences of ISO-2022-JP that begin two-byte characters (RFC 1468).
_ISO_2022 = re.compile(rb"\x1b\$[@B]")


@dataclass(frozen=True)
class SheetRow:
    """A row with a value in some column. `number` counts the file's rows, so the header is 1."""

    number: int
    cells: dict[str, list[str]]

    def get(self, *headers: str) -> tuple[str, str]:
        """The first non-blank value under any of these headers, and that header; two empty strings without one."""
        for header in headers:
            for value in self.cells.get(header, ()):
                if value:
                    return value, header
        return "", ""


@dataclass(frozen=True)
class Sheet:
    """Lower-case headers, the non-empty rows, and the numbers of rows left out."""

    headers: list[str]
    rows: list[SheetRow]
    original_column_count: int
    original_row_count: int
    removed_column_count: int
    removed_empty_row_count: int

    def stats(self) -> dict[str, int]:
        return {
            "original_column_count": self.original_column_count,
            "original_row_count": self.original_row_count,
            "removed_column_count": self.removed_column_count,
            "removed_empty_row_count": self.removed_empty_row_count,
        }


def read(raw: bytes) -> Sheet:
    """Read a CSV file (RFC 4180) in UTF-8, UTF-16 or Shift_JIS, separated by commas, tabs or semicolons.

    Raises `Invalid CSV`.
    """
    text = decode(raw).lstrip("\ufeff")
    # Excel's own first line, such as `sep=;`. It stays a row, so that row numbers are those of the file.
    named = _SEPARATOR.match(text)
    first_line = text.lstrip().partition("\n")[0]
    delimiter = named[1] if named else max(",\t;", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    try:
        for record in reader:
            if len(records) > MOST_ROWS:
                raise invalid_csv(f"It has more than {MOST_ROWS:,} rows: split it.")
            if len(record) > _MOST_COLUMNS:
                raise invalid_csv(f"Row {len(records) + 1} has more than {_MOST_COLUMNS} columns.")
            records.append(record)
    except csv.Error as exc:
        raise invalid_csv(
            f"It cannot be read as CSV ({exc}): row {len(records) + 1} opens a quote that is not closed, or has text "
            "after a closing quote."
        ) from exc
    if named:
        records[0] = []
    top = next((index for index, record in enumerate(records) if any(cell.strip() for cell in record)), None)
    if top is None:
        raise invalid_csv("The file is empty. Start from the template.")
    titles = [_title(cell) for cell in records[top]]
    rows = []
    for number, record in enumerate(records[top + 1 :], start=top + 2):
        cells: dict[str, list[str]] = {}
        for title, cell in zip(titles, record, strict=False):
            if title:
                cells.setdefault(title, []).append(cell.strip())
        if any(value for values in cells.values() for value in values):
            rows.append(SheetRow(number, cells))
    total = len(records) - top - 1
    headers = [title for title in titles if title]
    return Sheet(headers, rows, len(titles), total, len(titles) - len(headers), total - len(rows))


def decode(raw: bytes) -> str:
    """Decode a file. Raises `Invalid CSV` for a file that is not text."""
    mail = ["iso2022_jp_2"] if _ISO_2022.search(raw) else []
    encodings = [name for bom, name in _BOMS if raw.startswith(bom)] or [*mail, "utf-8", "cp932"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise invalid_csv("The file is not text: save it from the spreadsheet program as CSV (UTF-8).")


def invalid_csv(message: str) -> Invalid:
    return Invalid("Invalid CSV", message, fields={"file": [message]})


def _title(cell: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKC", cell) if unicodedata.category(one) != "Cf")
    return " ".join(plain.lower().split())
