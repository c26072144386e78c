"""What a file is by its first bytes, and its content without the compression.

Guarantees: a name proves nothing; where it says something else than the bytes, `Content.notes` says so. What expands beyond
`LIMIT_RATIO` and `FREE_BYTES` is refused before it is read on: a compressed file cannot fill memory or time unseen.
"""

import codecs
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Literal, NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.archive import only_member, refuse_others
from flowforge.sources.files.compression import Compression, compression_of, damage, expanded

Form = Literal["text", "parquet", "excel"]
# Repeated lines reach 700 by deflate, whose own limit is 1,032 (zlib.net, "maximum compression factor"). Records that each have
# something of its own, as a number, stay about 300 (zstd) where they are 2,000 blanks wide.
LIMIT_RATIO = 500
FREE_BYTES = 2**26  # below this size no ratio is refused; even one record after the other it is read in minutes
HEAD_BYTES = 64
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # compound file: .xls, and .xlsx with a password (MS-CFB 2.2)
OTHERS = {  # what is often taken for one of these files; each mark has a byte or a word that no such text begins with
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x04\x22\x4d\x18": "compressed by LZ4",
    b"\xff\x06\x00\x00sNaP": "compressed by Snappy",
    b"%PDF-": "a PDF document",
    b"\x89PNG\r\n\x1a\n": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"Obj\x01": "an Avro file",
    b"ARROW1\x00": "an Arrow file",
    b"SQLite f": "a SQLite database",
}
PAGES = (b"<html", b"<!doc", b"<?xml")
ENDINGS = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}


class StoredFile(NamedTuple):
    """A file where it is stored: its name for people, its size in bytes; `open` gives its bytes, seekable, at their start."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Content:
    """The content of a file. `open` gives it from its first byte, without the compression; `open_file` the file as it
    is, seekable; `size` is the file's own in bytes."""

    name: str
    size: int
    compression: Compression
    form: Form
    open: Callable[[], "Reader"]
    open_file: Callable[[], IO[bytes]]
    member: str | None = None
    notes: tuple[str, ...] = ()


class Reader(io.RawIOBase):
    """Bytes of a content, one pass. Raises UnsupportedSource where they end too early, are damaged, or expand beyond limits."""

    def __init__(self, stream: IO[bytes], opened: ExitStack, name: str, size: int, free_bytes: int):
        super().__init__()
        self._stream, self._opened, self._name, self._size, self._free = stream, opened, name, size, free_bytes
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def read(self, size: int = -1) -> bytes:
        """Without a buffer in between, as `readinto` has: a large text is copied once less."""
        if size < 0:
            return self.readall()
        with damage(self._name):
            found = self._stream.read(size)
        self._given += len(found)
        if self._given > self._free and self._given > self._size * LIMIT_RATIO:
            raise UnsupportedSource(
                f"{self._name}: {self._size:,} bytes expand to more than {self._given:,}, over {LIMIT_RATIO} times as many",
                "it looks like a file that was made to fill memory; if it is what it should be, deliver it uncompressed",
            )
        return found

    def close(self) -> None:
        if not self.closed:
            self._opened.close()
        super().close()


def look_into(
    name: str, size: int, open_file: Callable[[], IO[bytes]], member: str | None = None, free_bytes: int = FREE_BYTES
) -> Content:
    """What a file is. `open_file` opens its bytes, seekable, at their start; `member` names one file of a zip;
    up to `free_bytes` a content may expand by any ratio.

    Raises UnsupportedSource for what is no text and no Parquet, for a zip of several files where none is named, and for one in
    which `member` is not.
    """
    if not size:
        raise UnsupportedSource(
            f"{name} is empty: 0 bytes", "deliver it again; an upload may still have been under way"
        )
    with open_file() as stream:
        head = stream.read(HEAD_BYTES)
        if head.startswith(OLE):
            raise UnsupportedSource(
                f"{name} is {_compound(stream)}", "save it without a password as .xlsx or CSV UTF-8"
            )
    compression = compression_of(head)
    if compression == "zip":
        if _is_workbook(name, open_file):
            return Content(name, size, "none", "excel", lambda: _as_it_is(name, size, open_file), open_file)
        member = only_member(name, open_file, member)
    elif member is not None:
        raise UnsupportedSource(f"{name} is no zip file, so it has no member {member}", "leave the member out")

    inside = name if member is None else f"{name}, member {member}"

    def opened() -> Reader:
        with damage(inside), ExitStack() as parts:
            stream = expanded(open_file, compression, member, parts)
            return Reader(stream, parts.pop_all(), inside, size, free_bytes)

    with opened() as content:
        inner = content.read(HEAD_BYTES)
    form = _form(inside, inner)
    if form == "parquet" and compression != "none":
        raise UnsupportedSource(
            f"{name} is a compressed Parquet file", "deliver it as it is; its pages are compressed already"
        )
    return Content(
        name, size, compression, form, opened, open_file, member, tuple(_named_otherwise(name, compression, form))
    )


def _form(name: str, head: bytes) -> Form:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PARE"):  # the footer is encrypted (parquet-format, Encryption.md 5.1)
        raise UnsupportedSource(f"{name} is encrypted Parquet", "deliver it without encryption; the store encrypts")
    if compression_of(head) != "none":
        raise UnsupportedSource(f"{name} is compressed twice", "deliver it compressed once, or not at all")
    if found := next((what for mark, what in OTHERS.items() if head.startswith(mark)), None):
        raise UnsupportedSource(
            f"{name} is {found}, which is not read", "deliver CSV, JSON, Parquet or .xlsx; compressed by gzip or zstd"
        )
    if head.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(PAGES):
        raise UnsupportedSource(f"{name} is a page of HTML or XML, not a table", "look at it: it may tell an error")
    return "text"


def _as_it_is(name: str, size: int, open_file: Callable[[], IO[bytes]]) -> Reader:
    with ExitStack() as parts:
        stream = parts.enter_context(open_file())
        return Reader(stream, parts.pop_all(), name, size, FREE_BYTES)


def _compound(stream: IO[bytes]) -> str:
    """What a compound file is by the names in the first sectors of its directory (MS-CFB 2.2 and 2.6.1)."""
    stream.seek(0)
    header = stream.read(512)
    sector = 1 << min(int.from_bytes(header[30:32], "little"), 16)
    stream.seek((int.from_bytes(header[48:52], "little") + 1) * sector)
    names = stream.read(4 * sector)
    if "EncryptedPackage".encode("utf-16-le") in names:  # MS-OFFCRYPTO 2.3.4
        return "a workbook, or another document, with a password"
    if "Workbook".encode("utf-16-le") in names:
        return "a workbook of Excel 97-2003 (.xls)"
    return "a document of Office 97-2003, or one with a password"


def _is_workbook(name: str, open_file: Callable[[], IO[bytes]]) -> bool:
    """Whether a zip is a workbook (.xlsx, .xlsm). Raises UnsupportedSource for other documents."""
    with damage(name), open_file() as stream, zipfile.ZipFile(stream) as archive:
        refuse_others(name, archive, stream)
        names = archive.namelist()
    what = ""
    if names[:1] == ["mimetype"]:  # OpenDocument 1.3, part 2, 3.3
        what = "a document of OpenDocument (.ods)"
    elif "[Content_Types].xml" not in names:  # ECMA-376-2, 10.1.2.2
        return False
    elif "xl/workbook.bin" in names:
        what = "a binary workbook (.xlsb)"
    elif "xl/workbook.xml" not in names:
        what = "a document of Office, and no workbook"
    if what:
        raise UnsupportedSource(f"{name} is {what}", "save the sheet as .xlsx or CSV UTF-8")
    return True


def _named_otherwise(name: str, compression: Compression, form: Form) -> Iterator[str]:
    ending = next((end for end in ENDINGS if name.lower().endswith(end)), "")
    if ENDINGS.get(ending, "none") != compression:
        found = "is not compressed" if compression == "none" else f"is {compression}"
        yield f"by its name it {'would be ' + ENDINGS[ending] if ending else 'would not be compressed'}; it {found}"
    for one, ends, shown in (
        ("parquet", (".parquet",), "Parquet"),
        ("excel", (".xlsx", ".xlsm", ".xls"), "a workbook"),
    ):
        if form != one and name.lower().endswith(ends):
            yield f"by its name it would be {shown}; it is not"
