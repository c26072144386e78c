"""More calls than a function can answer: the surplus is refused at once; nothing of a flood is left when its callers are gone.
Messages of a function's queue do not keep its callers waiting."""

import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from flowforge.cli.keys import bearer
from infra.local.http_api import WAITING_CALLS
from tests.helpers.local_stack import RunningStack, send
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

SURPLUS = 40
Let = Callable[[], None]


@pytest.fixture
def calls(stack: RunningStack) -> Iterator[ThreadPoolExecutor]:
    """Threads for as many calls as the function lets in, and the surplus."""
    most = stack.functions()["Api"]["limit"] + WAITING_CALLS + SURPLUS
    with ThreadPoolExecutor(most) as pool:
        yield pool


@pytest.fixture
def at_once(stack: RunningStack) -> Iterator[httpx.Client]:
    """As many connections as there are calls; one client, since making one takes longer than a call may on a busy machine."""
    known, without_limits = bearer(stack.facts["token"]), httpx.Limits(max_connections=None)
    with httpx.Client(
        base_url=stack.facts["api"], headers=known, timeout=LIMIT_SECONDS, limits=without_limits
    ) as client:
        yield client


def held(stack: RunningStack, at_once: httpx.Client) -> tuple[Callable[[], httpx.Response], Let]:
    """A call that is not answered until it is let go, and what lets it go."""
    name = uuid.uuid4().hex

    def hold() -> httpx.Response:
        return at_once.get(f"/hold/{name}")

    def let_go() -> None:
        stack.s3.put_object(Bucket=stack.facts["bucket"], Key=f"go/{name}", Body=b"")

    return hold, let_go


def fill(stack: RunningStack, calls: ThreadPoolExecutor, hold: Callable[[], httpx.Response]) -> list[Future]:
    """Has a call in each of the function's workers."""
    limit = stack.functions()["Api"]["limit"]
    running = [calls.submit(hold) for _ in range(limit)]
    wait_for(lambda: stack.functions()["Api"]["running"] == limit, "the calls that run")
    return running


def test_should_refuse_the_surplus_at_once_and_answer_all_others(stack, calls, at_once):
    stack.http.get("/items/1")  # a worker runs
    hold, let_go = held(stack, at_once)
    running = fill(stack, calls, hold)
    flood = [calls.submit(hold) for _ in range(WAITING_CALLS + SURPLUS)]
    wait_for(lambda: sum(one.done() for one in flood) >= SURPLUS, "the surplus")
    refused = [one for one in flood if one.done()]
    let_go()
    wait([*running, *flood])
    assert {(one.result().status_code, one.result().headers["retry-after"]) for one in refused} == {(429, "1")}
    answers = sorted(one.result().status_code for one in [*running, *flood])
    assert answers == [200] * (len(running) + WAITING_CALLS) + [429] * SURPLUS
    assert stack.http.get("/items/2").status_code == 200


def test_should_not_run_what_nobody_waits_for_any_more(stack, calls, at_once):
    hold, let_go = held(stack, at_once)
    running = fill(stack, calls, hold)
    item = uuid.uuid4().hex
    body = f'{{"id": "{item}"}}'
    address = urlsplit(stack.facts["api"])
    head = f"POST /items HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {stack.facts['token']}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall((head + body).encode())
        wait_for(lambda: stack.functions()["Api"]["waiting"] == 1, "the call that waits")
    let_go()
    wait(running)
    after = uuid.uuid4().hex
    assert stack.http.post("/items", json={"id": after}).status_code == 202
    stack.object(f"done/{after}")
    listed = stack.s3.list_objects_v2(Bucket=stack.facts["bucket"], Prefix=f"done/{item}")
    assert listed["KeyCount"] == 0
    assert stack.functions()["Api"]["waiting"] == 0


def test_should_give_no_place_to_a_call_whose_body_has_not_come(stack):
    address = urlsplit(stack.facts["api"])
    head = f"POST /items HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {stack.facts['token']}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    with ExitStack() as opened:
        for _ in range(stack.functions()["Api"]["limit"] + WAITING_CALLS):
            caller = opened.enter_context(socket.create_connection((address.hostname, address.port)))
            caller.settimeout(LIMIT_SECONDS)
            caller.sendall(head.encode())
            assert caller.recv(100).startswith(b"HTTP/1.1 100")  # it waits for the body
        assert stack.http.get("/items/3").status_code == 200
    assert (
        stack.http.get("/items/4").status_code == 200
    )  # they are gone, with no word each in an output that nobody reads


def test_should_refuse_a_body_that_is_not_encoded_as_its_head_says(stack):
    answer = stack.http.post("/items", content=b"{}", headers={"Content-Encoding": "gzip", "Connection": "close"})
    assert (answer.status_code, answer.json()) == (400, {"message": "Bad Request"})


def test_should_answer_calls_of_a_function_whose_queue_keeps_all_its_workers_busy(stack):
    name, items = uuid.uuid4().hex, [uuid.uuid4().hex for _ in range(stack.functions()["Work"]["limit"])]
    send(stack, "WorkQueue", *({"id": item, "hold": name} for item in items))
    wait_for(lambda: stack.functions()["Work"]["running"] == len(items), "the messages that run")
    assert stack.http.get("/work/7").json() == {"asked": "7"}
    stack.s3.put_object(Bucket=stack.facts["bucket"], Key=f"go/{name}", Body=b"")
    for item in items:
        stack.object(f"done/{item}")
