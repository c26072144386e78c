"""Calls of HTTP as they are sent, one after another on a connection that stays open: what the proxy reads and passes on."""

import asyncio
import re


class Behind:
    """A caller's connection to the server, made with the first call, and anew after one that the server has ended."""

    def __init__(self, host: str | None, port: int | None) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, sent: bytes, *, bodiless: bool) -> tuple[bytes, bool]:
        """The whole reply, and whether its own head or length tells where it ends."""
        if self._streams and self._streams[0].at_eof():
            self.close()
        if not self._streams:
            self._streams = await asyncio.open_connection(*self._address, limit=1 << 26)
        reader, writer = self._streams
        writer.write(sent)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        if bodiless or head.split(b" ", 2)[1] in (b"204", b"304"):
            body = b""
        elif told := re.search(rb"(?im)^content-length: *(\d+)", head):
            body = await reader.readexactly(int(told.group(1)))
        elif b"\r\ntransfer-encoding: chunked" in head.lower():
            body = b"".join(await _chunks(reader))
        else:
            return head + await reader.read(-1), False
        return head + body, b"\r\nconnection: close" not in head.lower()

    def close(self) -> None:
        """Ends the connection, where there is one."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def body_of(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """A request's body, without its chunks."""
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if length:
        return await reader.readexactly(int(length.group(1)))
    if b"transfer-encoding: chunked" not in head.lower():
        return b""
    return b"".join(data[:-2] for data in (await _chunks(reader))[1::2])


async def _chunks(reader: asyncio.StreamReader) -> list[bytes]:
    """A body in chunks as it is sent, up to its end: each chunk's head, and its data with the end of line behind them."""
    parts, size = list[bytes](), 1
    while size:
        parts.append(await reader.readuntil(b"\r\n"))
        size = int(parts[-1].split(b";")[0], 16)
        parts.append(await reader.readexactly(size + 2))
    return parts
