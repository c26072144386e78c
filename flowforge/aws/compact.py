"""JSON documents as small text, and documents that fit where there is a limit.

An item of the key-value table holds 400 KB, an event or a message 256 KB. Text is kept as UTF-8 and compressed where it is long,
since `\\uXXXX` would make six bytes of a letter.
"""

import base64
import json
import zlib
from typing import Any

PACKED = "zlib85:"
PLAIN_BYTES = 4_000  # what is shorter stays readable in a console
SHORTENED = "shortened"


def pack(document: Any) -> str:
    """A JSON document as text for `unpack`."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        plain = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a key may hold
        text = json.dumps(document, separators=(",", ":"))
        plain = text.encode()
    if len(plain) <= PLAIN_BYTES:
        return text
    return PACKED + base64.b85encode(zlib.compress(plain, 6)).decode()


def unpack(text: str) -> Any:
    """The document of `pack`, or of JSON as versions before kept it. Raises ValueError for anything else."""
    if not text.startswith(PACKED):
        return json.loads(text)
    try:
        return json.loads(zlib.decompress(base64.b85decode(text.removeprefix(PACKED))))
    except zlib.error as error:
        raise ValueError(f"not what was packed: {error}") from error


def size_of(document: Any) -> int:
    """Bytes of a document as compact JSON."""
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))


def shorten(document: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    """The document with its longest texts, lists and objects cut in half until it fits; `shortened` names the fields that were.

    Meant for what informs people. What identifies is short, and so is cut last.
    """
    cut: list[str] = []
    while (size := size_of(document)) > most_bytes:
        name = max(document, key=lambda field: size_of(document[field]))
        value = document[name]
        if not isinstance(value, str | list | dict) or len(value) < 2:
            raise ValueError(f"a document of {size:,} bytes cannot be made to fit {most_bytes:,}")
        document = document | {name: _half(value)}
        cut += [] if name in cut else [name]
    return document | {SHORTENED: cut} if cut else document


def _half(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[: len(value) // 2])
    return value[: len(value) // 2].removesuffix("…") + "…" if isinstance(value, str) else value[: len(value) // 2]
