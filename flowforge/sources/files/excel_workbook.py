"""A workbook's parts: its sheets by name, shared texts, the styles of dates, its epoch.

Guarantees: no part is read that has a DTD, which packages may not have, or whose size is beyond limits. Memory is that of the
shared texts.
"""

import re
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import IO, Any
from xml.parsers.expat import ExpatError

from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.xml.constants import ARC_STYLE, SHARED_STRINGS, SHEET_MAIN_NS

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import FREE_BYTES, LIMIT_RATIO, Content
from flowforge.sources.files.excel_texts import SharedTexts

MOST_PART = 2**27  # bytes of a part that is held in memory: shared texts, styles
STRICT = b"http://purl.oclc.org/ooxml/"  # ISO/IEC 29500-1 Strict; its elements have other names
PROLOG = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>(?:\s++|<\?.*?\?>|<!--.*?-->)*)<[A-Za-z_]", re.DOTALL)
FORMAT, STYLES = f"{{{SHEET_MAIN_NS}}}numFmt", f"{{{SHEET_MAIN_NS}}}cellXfs"


class Workbook:
    """An open workbook. `strings` are its shared texts, `dates` the styles of dates, `epoch` the day of 0.

    Raises UnsupportedSource for a sheet that there is not, and for what is damaged or beyond limits.
    """

    def __init__(self, content: Content, sheet: str | None, opened: ExitStack):
        self.name, self.notes = content.name, list[str]()
        with damage(self.name):
            self._archive = opened.enter_context(zipfile.ZipFile(opened.enter_context(content.open_file())))
            self._check_parts(content.size)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of extensions that do not concern values
                reader: Any = ExcelReader(opened.enter_context(content.open_file()), read_only=True, keep_links=False)
                opened.callback(reader.archive.close)
                reader.read_manifest()
                reader.read_workbook()
                sheets = {one.name: rel.target for one, rel in reader.parser.find_sheets() if "worksheet" in rel.Type}
            self._sheet = self._chosen(sheets, sheet)
            self.epoch: datetime = reader.wb.epoch
            shared = reader.package.find(SHARED_STRINGS)
            self.strings = self._shared(shared.PartName[1:]) if shared else []
            self.dates = self._dates()

    def open_sheet(self) -> IO[bytes]:
        return self._archive.open(self._sheet)

    def _check_parts(self, size: int) -> None:
        parts = self._archive.infolist()
        for part in parts:
            if part.flag_bits & 1:
                raise UnsupportedSource(f"{self.name}: {part.filename} has a password", "save it without one")
            is_xml = part.filename.lower().endswith((".xml", ".rels"))
            if is_xml and part.file_size > MOST_PART and not part.filename.startswith("xl/worksheets/"):
                raise UnsupportedSource(
                    f"{self.name}: {part.filename} has {part.file_size:,} bytes; at most {MOST_PART:,} are read",
                    "deliver the sheet as CSV UTF-8",
                )
            if is_xml:
                self._check_head(part)
        expanded = sum(part.file_size for part in parts)
        if expanded > FREE_BYTES and expanded > size * LIMIT_RATIO:
            raise UnsupportedSource(
                f"{self.name}: {size:,} bytes expand to {expanded:,}",
                "it looks like a file that was made to fill memory; deliver the sheet as CSV UTF-8",
            )
        if any(part.filename.lower().endswith("vbaproject.bin") for part in parts):
            self.notes.append("it has macros: they are ignored")

    def _check_head(self, part: zipfile.ZipInfo) -> None:
        with self._archive.open(part) as stream:
            head = stream.read(2**16).replace(b"\0", b"")  # of UTF-16
        if head and not PROLOG.match(head):
            raise UnsupportedSource(
                f"{self.name}: {part.filename} has a DTD, which no workbook has, or begins as no part of one does",
                "save it with Excel",
            )
        if part.filename == "xl/workbook.xml" and STRICT in head:
            raise UnsupportedSource(
                f"{self.name} is a Strict Open XML workbook", "save it as Excel Workbook (.xlsx), or as CSV UTF-8"
            )

    def _chosen(self, sheets: dict[str, str], wanted: str | None) -> str:
        if (wanted is None and len(sheets) != 1) or wanted not in (None, *sheets):
            found = f"no sheet {wanted!r}" if wanted else f"{len(sheets):,} sheets"
            raise UnsupportedSource(f"{self.name} has {found}", f"name one of: {', '.join(list(sheets)[:20])}")
        return sheets[wanted] if wanted is not None else next(iter(sheets.values()))

    def _shared(self, part: str) -> list[str]:
        with self._archive.open(part) as stream:
            return list(SharedTexts(stream, self.name))

    def _dates(self) -> frozenset[int]:
        if ARC_STYLE not in self._archive.namelist():
            return frozenset()
        with self._archive.open(ARC_STYLE) as stream:
            root = ET.parse(stream).getroot()  # noqa: S314 - no DTD
        codes = {int(one.get("numFmtId") or 0): one.get("formatCode") or "" for one in root.iter(FORMAT)}
        found = root.find(STYLES)
        numbers = [int(one.get("numFmtId") or 0) for one in found] if found is not None else []
        shown = [codes.get(number) or builtin_format_code(number) for number in numbers]
        return frozenset(
            style for style, code in enumerate(shown) if code and is_date_format(code) and not is_timedelta_format(code)
        )


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Turns what reading a package meets into an error that names the file."""
    try:
        yield
    except (
        SyntaxError,
        ExpatError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise UnsupportedSource(f"{name} is damaged: {error}", "save it again with Excel") from error
