"""Archives that tests make."""

import io
import struct
import zipfile

import pyarrow as pa


def zipped(**members: bytes) -> bytes:
    """A zip with these members."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return body.getvalue()


def zipped_by(method: int, **members: bytes) -> bytes:
    """A zip whose headers say that its first member is compressed by a method (APPNOTE.TXT 4.4.5)."""
    body = bytearray(zipped(**members))
    body[8] = body[body.index(b"PK\x01\x02") + 10] = method
    return bytes(body)


def zstd(body: bytes) -> bytes:
    """A frame of zstd."""
    return pa.Codec("zstd").compress(body, asbytes=True)


def skippable(body: bytes, number: int = 0) -> bytes:
    """A frame that zstd skips (RFC 8878, 3.1.2); there are 16 kinds of them."""
    return struct.pack("<II", 0x184D2A50 + number, len(body)) + body
