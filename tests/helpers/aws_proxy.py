"""A proxy in front of the AWS endpoint that does what networks and services do: it fails before, after or instead of a call.

Who calls is told by the access key, which every client signs with: a worker's key is its delivery's name, its secret the server's
own. The proxy passes a call on under the server's key. What happens to a call is decided by a rule, which tests set; without one
every call passes. A connection stays open from one call to the next, as AWS' own do, and so does the one to the server behind it.
"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from flowforge.domain.given import given
from infra.local.signatures import claimed, signature_of
from tests.helpers.kept_calls import Behind, body_of
from tests.helpers.servers import AWS_KEYS
from tests.helpers.waiting import LIMIT_SECONDS


@dataclass(frozen=True)
class Call:
    """One call: whose, its place among the caller's calls from 1 on, what it is (DynamoDB.PutItem, S3.PUT, …), and its path."""

    worker: str
    number: int
    operation: str
    path: str
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What happens to a call.

    before    `act` is called and the connection ends; the call never arrives
    after     the call is made, then `act` is called and the connection ends without a reply
    instead   an error answer, or the `answer` given, without the call being made
    cut       the call is made, and the connection ends after `most` bytes of its reply
    heard     none: the call is made, and `hear` gets the reply as the caller does
    """

    when: Literal["before", "after", "instead", "cut", "heard"]
    act: Callable[[], None] = lambda: None
    status: int = 500
    code: str = "InternalError"
    answer: str = ""
    hear: Callable[[bytes], None] = lambda reply: None
    most: int = 0


Rule = Callable[[Call], Fault | None]
RuleT = TypeVar("RuleT", bound=Rule)


class AwsProxy:
    """A context manager: listens on loopback in a thread of its own. `calls` is what each worker has called, in order."""

    def __init__(self, endpoint: str, keys: Mapping[str, str] = AWS_KEYS) -> None:
        self._target, self._keys = urlsplit(endpoint), tuple(keys.values())
        self.rule: Rule = lambda call: None
        self.calls: dict[str, list[Call]] = {}
        self.struck: Counter[str] = Counter()
        self.dropped: dict[
            str, tuple[str, ...]
        ] = {}  # HTTP method -> headers that its requests lose, as before a loose store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._serving: set[asyncio.Task] = set()  # asyncio itself holds its tasks weakly
        self.url = ""

    def forget(self) -> None:
        """Begins anew, for another test: no rule, and nothing that was called or struck before."""
        self.rule = lambda call: None
        for noted in (self.calls, self.struck, self.dropped):
            noted.clear()

    @contextmanager
    def ruled_by(self, rule: RuleT) -> Iterator[RuleT]:
        """Has `rule` decide for the block."""
        self.rule = rule
        try:
            yield rule
        finally:
            self.rule = lambda call: None

    def __enter__(self) -> "AwsProxy":
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 26)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(LIMIT_SECONDS)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(LIMIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_SECONDS)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = given(asyncio.current_task())
        self._serving.add(task)
        behind = Behind(self._target.hostname, self._target.port)
        try:
            kept = True
            while kept:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"expect: 100-continue" in head.lower():
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await body_of(reader, head)
                reply, kept = await self._answer(behind, head, body)
                writer.write(reply)
                await writer.drain()
                kept = kept and b"\r\nconnection: close" not in head.lower()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the caller has ended or been killed, or is to see a connection that ends; or the proxy ends
        finally:
            self._serving.discard(task)
            behind.close()
            writer.close()

    async def _answer(self, behind: Behind, head: bytes, body: bytes) -> tuple[bytes, bool]:
        """The reply, and whether the caller's connection outlives it."""
        call = self._call(head, body)
        fault = self.rule(call)
        if fault is None:
            return await self._forward(behind, head, body)
        if fault.when == "heard":
            reply, kept = await self._forward(behind, head, body)
            fault.hear(reply)
            return reply, kept
        self.struck[call.operation] += 1
        if fault.when == "instead":
            return _error(call, fault), False
        if fault.when == "cut":
            reply, _ = await self._forward(behind, head, body)
            return reply[: fault.most], False
        if fault.when == "after":
            await self._forward(behind, head, body)
        fault.act()
        return b"", False

    def _call(self, head: bytes, body: bytes) -> Call:
        text = head.decode("latin-1")
        method, path, _ = text.split("\r\n", 1)[0].split(" ", 2)
        target = re.search(r"(?im)^x-amz-target: *(\w+?)(?:_\d+)?\.(\w+)", text)
        operation = f"{target.group(1)}.{target.group(2)}" if target else f"S3.{method}"
        key = re.search(r"Credential=([^/\s]+)/", text)
        mine = self.calls.setdefault(key.group(1) if key else "", [])
        mine.append(Call(key.group(1) if key else "", len(mine) + 1, operation, path, body[: 1 << 20]))
        return mine[-1]

    async def _forward(self, behind: Behind, head: bytes, body: bytes) -> tuple[bytes, bool]:
        lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method = lines[0].partition(" ")[0]
        loose = tuple(f"{name.lower()}:" for name in self.dropped.get(method, ()))
        dropped = ("expect:", "connection:", "transfer-encoding:", "content-length:", *loose)
        kept = [line for line in lines if not line.lower().startswith(dropped)]
        kept = [re.sub(r"(?i)^(authorization:.*Credential=)[^/]+", rf"\g<1>{self._keys[0]}", line) for line in kept]
        if loose:
            kept = _signed_without(loose, kept, self._keys)
        sent = "\r\n".join([*kept, f"Content-Length: {len(body)}", "", ""]).encode("latin-1")
        return await behind.call(sent + body, bodiless=method == "HEAD")


def _signed_without(names: tuple[str, ...], lines: list[str], keys: tuple[str, ...]) -> list[str]:
    """The lines of a call that lacks some of the headers which its client has signed, signed anew."""
    method, path, _ = lines[0].split(" ", 2)
    environ = {"REQUEST_METHOD": method, "RAW_URI": path, "QUERY_STRING": path.partition("?")[2]}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        plain = name.upper().replace("-", "_")
        environ[plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}"] = value.strip()
    claim = given(claimed(environ))
    signed = [name for name in claim.signed if f"{name}:" not in names]
    made = signature_of(environ, claim._replace(signed=signed), Credentials(*keys))
    rest = environ["HTTP_AUTHORIZATION"].partition("SignedHeaders=")[0]
    header = f"Authorization: {rest}SignedHeaders={';'.join(signed)}, Signature={made}"
    return [header if line.lower().startswith("authorization:") else line for line in lines]


def _error(call: Call, fault: Fault) -> bytes:
    if fault.answer:
        text, kind = fault.answer, "application/x-amz-json-1.1"
    elif call.operation.startswith("S3."):
        text, kind = f"<Error><Code>{fault.code}</Code><Message>made up</Message></Error>", "application/xml"
    else:
        text, kind = f'{{"__type": "{fault.code}", "message": "made up"}}', "application/x-amz-json-1.0"
    if call.operation == "S3.HEAD":
        text = ""
    head = f"HTTP/1.1 {fault.status} Made Up\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return (head + text).encode()


WRITES = ("PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "PutEvents", "SendMessage", "SendMessageBatch")


def is_write(call: Call) -> bool:
    """Whether the call changes something."""
    return call.operation.rpartition(".")[2] in (*WRITES, "PUT", "POST", "DELETE")
