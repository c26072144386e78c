"""Workbooks that tests make and read: as openpyxl saves them, or with other XML in them."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import openpyxl

from events.files import FileColumn, FileContract
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import OLE, look_into
from flowforge.sources.files.excel_records import ExcelRecords
from flowforge.sources.files.rejected import Rejected

SHEET = "xl/worksheets/sheet1.xml"
Edit = Callable[[str], str]


def saved(*rows: list[Any], epoch: datetime | None = None, change: Callable[[Any], None] = lambda book: None) -> bytes:
    book = openpyxl.Workbook()
    if epoch:
        book.epoch = epoch
    sheet: Any = book.active
    for row in rows:
        sheet.append(row)
    change(book)
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


def edited(
    body: bytes,
    edit: Edit = lambda text: text,
    more: dict[str, bytes] | None = None,
    types: str = "",
    encoding: str = "utf-8",
) -> bytes:
    """A workbook whose first sheet's XML is changed, or in another encoding, with further members and their content types."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as before, zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = before.read(name).replace(b"</Types>", f"{types}</Types>".encode())
            after.writestr(name, edit(content.decode()).encode(encoding) if name == SHEET else content)
        for name, content in (more or {}).items():
            after.writestr(name, content)
    return found.getvalue()


def claimed(body: bytes, size: int, part: str = "xl/x.xml") -> bytes:
    """A workbook whose directory says that a member expands to a size."""
    found = io.BytesIO(edited(body, more={part: b"x"}))
    with zipfile.ZipFile(found, "a") as archive:
        archive.writestr("last", b"")
        archive.getinfo(part).file_size = size
    return found.getvalue()


def compound(*names: str) -> bytes:
    """A compound file's header, and the first sector of its directory."""
    header = bytearray(OLE.ljust(512, b"\0"))
    header[30] = 9
    return bytes(header) + b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in names)


def opened(body: bytes, *columns: FileColumn, **contract: Any) -> ExcelRecords:
    content = look_into("a.xlsx", len(body), lambda: io.BytesIO(body))
    return ExcelRecords(content, FileContract(format="excel", columns=list(columns), **contract))


def read(body: bytes, *columns: FileColumn, **contract: Any) -> tuple[list[list[Any]], list[Rejected], list[str]]:
    rows: list[list[Any]] = []
    rejected: list[Rejected] = []
    with opened(body, *columns, **contract) as records:
        casting = casting_for(records.fields, records.columns, "refuse", "a.xlsx")
        for portion in records:
            found = cast_portion(portion, casting)
            rows += [list(row.values()) for row in found.rows.to_pylist()]
            rejected += found.rejected
        assert len(rows) + len(rejected) == records.counted()
        return rows, rejected, records.notes


def column(name: str, type: str, **more: Any) -> FileColumn:
    return FileColumn(name=name, field=name, type=type, **more)
