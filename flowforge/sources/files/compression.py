"""How a file is compressed, by its first bytes; its content without the compression; what is wrong with it, in words.

Guarantees: all parts that a file was packed in are read, one behind the other (members of gzip, frames of zstd); what stands
behind them and is none refuses the file, since it could be more of its content. Zeros that fill gzip up are passed over.
"""

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Literal, cast

import pyarrow as pa

from flowforge.domain.errors import UnsupportedSource

Compression = Literal["none", "gzip", "zstd", "zip"]
ZSTD = re.compile(
    rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"
)  # RFC 8878, 3.1.1 and 3.1.2: a frame, or one to be skipped
AGAIN = "deliver it again"
PLAIN = "deliver it uncompressed, or compressed by gzip, zstd or zip (deflate)"
# What decompressors say where a file is whole and cannot be read, or where more is known than that it is damaged.
BEHIND = "has something behind its compressed content, or in it, that is no "
MEANT = (
    ("Truncated", "is cut off: its compressed content ends too early", AGAIN),
    ("Not a gzipped file", BEHIND + "gzip", "deliver it without that"),
    ("Unknown frame descriptor", BEHIND + "zstd", "deliver it without that"),
    ("requires too much memory", "is zstd over a longer window than is read", "compress it without --long"),
    ("Dictionary mismatch", "is zstd with a dictionary of its own", "compress it without one"),
    ("Unknown compression method", "is gzip by a method that nobody knows", AGAIN),
    ("compression method is not supported", "is zip by a method that is not read, as Deflate64", PLAIN),
    ("strong encryption", "has a password", "deliver it without one"),
    ("patched data", "is zip by a method that is not read: patched data", PLAIN),
    ("zip file version", "is zip of a version that is not read", PLAIN),
)


def compression_of(head: bytes) -> Compression:
    """The compression of what begins with these bytes."""
    if head.startswith(b"\x1f\x8b"):  # RFC 1952, 2.3.1
        return "gzip"
    if ZSTD.match(head):
        return "zstd"
    return "zip" if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) else "none"  # APPNOTE.TXT 4.3.7, 4.3.16


def expanded(
    open_file: Callable[[], IO[bytes]], compression: Compression, member: str | None, opened: ExitStack
) -> IO[bytes]:
    """The expanded bytes; `opened` closes them and the file below."""
    stream = opened.enter_context(open_file())
    if compression == "gzip":
        return cast(IO[bytes], opened.enter_context(gzip.GzipFile(fileobj=stream)))
    if compression == "zstd":
        below = opened.enter_context(pa.PythonFile(stream, mode="r"))
        return cast(IO[bytes], opened.enter_context(pa.CompressedInputStream(below, "zstd")))
    if compression == "zip":
        return opened.enter_context(opened.enter_context(zipfile.ZipFile(stream)).open(str(member)))
    return stream


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Turns what decompression meets into an error that names the file."""
    try:
        yield
    except EOFError as error:
        raise UnsupportedSource(f"{name} is cut off: its compressed content ends too early", AGAIN) from error
    except (zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError, pa.ArrowException) as error:
        raise _told(name, error) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError) or error.errno:
            raise
        raise _told(name, error) from error


def _told(name: str, error: Exception) -> UnsupportedSource:
    known = next((one for one in MEANT if one[0] in str(error)), None)
    what, remedy = known[1:] if known else (f"is damaged: {error}", AGAIN)
    return UnsupportedSource(f"{name} {what}", remedy)
