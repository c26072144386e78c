"""A zip: which of its files is read, and that it is one archive.

Guarantees: what stands before its first file or behind its directory refuses it. Readers of zip look at the last directory alone:
of two archives in one file the first would be lost without a word. Zeros that fill it up are passed over.
"""

import io
import zipfile
from collections.abc import Callable
from typing import IO

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.compression import damage

MACS = "__MACOSX/"  # icons and the like, which macOS packs beside each file
END, END_BYTES = b"PK\x05\x06", 22  # APPNOTE.TXT 4.3.16: the end of the directory, before a comment
MOST_COMMENT = 2**16


def refuse_others(name: str, archive: zipfile.ZipFile, stream: IO[bytes]) -> None:
    """Raises UnsupportedSource where a file has more than the archive that was found in it."""
    before = min((entry.header_offset for entry in archive.infolist()), default=0)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(size - END_BYTES - MOST_COMMENT, 0))
    tail = stream.read()
    end = tail.rfind(END)
    comment = int.from_bytes(tail[end + END_BYTES - 2 : end + END_BYTES], "little")
    behind = tail[end + END_BYTES + comment :].strip(b"\0")
    if before or behind:
        where = "before its first file" if before else "behind its directory"
        raise UnsupportedSource(
            f"{name} has something {where} that is no part of this zip, as where two are put in one file",
            "deliver each archive as a file of its own",
        )


def only_member(name: str, open_file: Callable[[], IO[bytes]], member: str | None) -> str:
    """The file of a zip that is read: `member`, or its only one. Raises UnsupportedSource."""
    with damage(name), open_file() as stream, zipfile.ZipFile(stream) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith(MACS)]
        names = [entry.filename for entry in files]
        shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
        if member is not None and names.count(member) > 1:
            raise UnsupportedSource(
                f"{name} has the member {member} {names.count(member):,} times", "deliver it with each once"
            )
        if member is not None and member not in names:
            raise UnsupportedSource(f"{name} has no member {member}", f"it has: {shown or 'none'}")
        if member is None and len(names) != 1:
            raise UnsupportedSource(
                f"{name} holds {len(names):,} files", f"name one of them: {shown or 'there is none'}"
            )
        found = files[names.index(member)] if member is not None else files[0]
        if found.flag_bits & 1:  # APPNOTE.TXT 4.4.4
            raise UnsupportedSource(f"{name}: {found.filename} has a password", "deliver it without one")
        return found.filename
