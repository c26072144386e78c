"""Which encoding a text has: by its byte order mark, else by what all of its bytes can be.

Guarantees: all bytes are looked at, never a part of them; an encoding that is not proved says so. A NUL in a text, and bytes
that no supported encoding has, are refused with their place.
"""

import codecs
from typing import NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content

MARKS = (  # Unicode 15.0, table 2-4; the longer ones first
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
UNUSED_1252 = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))  # Windows code page 1252 has no character there
PORTION = 2**20
RECOGNISED_BY = 0.9  # share of NULs in every other byte of UTF-16 that is mostly of Latin letters


class Encoding(NamedTuple):
    """`codec` as Python names it, `name` for people, and why."""

    codec: str
    name: str
    reason: str


def find_encoding(content: Content) -> Encoding:
    """The encoding of a text. Raises UnsupportedSource for a content that is none."""
    with content.open() as stream:
        head = stream.read(PORTION)
    for mark, codec, name in MARKS:
        if head.startswith(mark):
            _check(content, codec, name)
            return Encoding(codec, name, "it begins with the byte order mark")
    if wide := _wide(head):
        _check(content, wide, "UTF-16")
        return Encoding(
            wide, "UTF-16", "every other byte is NUL, as where UTF-16 has Latin letters; no byte order mark"
        )
    return _narrow(content)


def check_mark(content: Content, encoding: str) -> None:
    """Refuses a text that begins with the byte order mark of another encoding than that by which it is to be read."""
    with content.open() as stream:
        head = stream.read(len(MARKS[0][0]))
    name = encoding.lower().replace("_", "-")
    for mark, codec, shown in MARKS:
        fits = ("utf-8", "utf8", "u8") if codec == "utf-8-sig" else ("utf-16", "utf16", "u16", "utf-32", "utf32", "u32")
        if head.startswith(mark) and not name.startswith(fits):
            raise UnsupportedSource(
                f"{content.name} begins with the byte order mark of {shown}, the contract says {encoding}",
                "deliver it in that encoding, or change the job's contract",
            )


def _wide(head: bytes) -> str | None:
    pairs = max(len(head) // 2, 1)
    if head[1::2].count(0) / pairs > RECOGNISED_BY:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) / pairs > RECOGNISED_BY else None


def _narrow(content: Content) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, plain, broken = 0, True, None
    used: set[int] = set()
    with content.open() as stream:
        while True:
            portion = stream.read(PORTION)
            if (nul := portion.find(0)) >= 0:
                raise _no_text(content, f"byte {position + nul + 1:,} is NUL")
            if broken is None:
                held = len(decoder.getstate()[0])  # the first bytes of a character that the portion before ended in
                try:
                    decoder.decode(portion, final=not portion)
                except UnicodeDecodeError as error:
                    broken = position - held + error.start + 1
            if not portion.isascii():
                plain = False
                used |= set(portion) & UNUSED_1252
            position += len(portion)
            if not portion:
                break
    if plain:
        return Encoding("utf-8", "UTF-8", "it is all ASCII")
    if broken is None:
        return Encoding("utf-8", "UTF-8", "all of its bytes are valid UTF-8, which other encodings' seldom are")
    if used:
        shown = ", ".join(f"0x{byte:02X}" for byte in sorted(used))
        raise _no_text(content, f"it is no UTF-8 (byte {broken:,}) and no Windows-1252 (which has no {shown})")
    return Encoding(
        "cp1252",
        "Windows-1252",
        f"it is no UTF-8 (byte {broken:,}); a guess: any 8-bit encoding could be meant, look at the rows",
    )


def _check(content: Content, codec: str, name: str) -> None:
    decoder, position = codecs.getincrementaldecoder(codec)(), 0
    with content.open() as stream:
        while True:
            portion = stream.read(PORTION)
            try:
                text = decoder.decode(portion, final=not portion)
            except UnicodeDecodeError as error:
                raise _no_text(content, f"it is no {name}, near byte {position + error.start + 1:,}") from error
            if "\0" in text:
                raise _no_text(content, f"it has a NUL character near byte {position + 1:,}")
            if not portion:
                return
            position += len(portion)


def _no_text(content: Content, reason: str) -> UnsupportedSource:
    return UnsupportedSource(
        f"{content.member or content.name} is no text: {reason}", "deliver CSV, NDJSON or Parquet; a text as UTF-8"
    )
