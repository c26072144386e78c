"""TLS before a server that has none, with a certificate that a private authority has signed."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from infra.sqlserver.certificate import ensure_certificate, server_context

CHUNK_BYTES = 1 << 16


@contextmanager
def tls_before(url: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The https address of a plain server for the block, and the PEM file of its authority, made in `folder`."""
    authority, context = ensure_certificate(folder), server_context(folder)
    target, loop, opened = urlsplit(url), asyncio.new_event_loop(), list[asyncio.StreamWriter]()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while chunk := await source.read(CHUNK_BYTES):
                sink.write(chunk)
                await sink.drain()
        if not sink.is_closing():  # what is closed twice cannot be aborted on Python 3.11.2
            sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(target.hostname, target.port)
        opened.extend([writer, before])
        await asyncio.gather(copy(reader, before), copy(behind, writer))

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)

    async def end() -> None:
        server.close()
        for writer in opened:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", authority
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
