"""A secret at any place of a request, under any name that people give it, is kept nowhere."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.envelopes import eventbridge, http, minio
from functions.submit_job.handler import handler
from tests.helpers.examples import examples
from tests.helpers.function_calls import Context
from tests.helpers.request_door import ROUTE, SECRET_NAMES, make_secret, request


@dataclass(frozen=True)
class Hiding:
    """Where and how a secret is hidden in a request."""

    path: tuple[int, ...]
    name: str
    shape: str
    encoding: str
    cut: float | None
    door: str


HIDINGS = st.builds(
    Hiding,
    path=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    name=st.sampled_from((*SECRET_NAMES, "password", "note", "job_name", "x" * 300, "")),
    shape=st.sampled_from(["text", "list", "object", "key", "connection string", "address", "json"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]),
    cut=st.none() | st.floats(0.05, 0.99),
    door=st.sampled_from(["file", "minio", "bus", "bus text", "http"]),
)


def hide(hiding: Hiding, secret: str) -> dict[str, Any]:
    document = request(secret)
    place: Any = document
    for step in hiding.path:
        inner = [value for value in place.values() if isinstance(value, dict)]
        if inner:
            place = inner[step % len(inner)]
    shapes = {
        "text": secret,
        "list": [1, [secret]],
        "object": {"value": {"deep": secret}},
        "key": {f"{secret} is the password": None},
        "connection string": f"Data Source=x;Password={secret};",
        "address": f"mssql+pymssql://sa:{secret}@host/db",
        "json": json.dumps({"Password": secret}),
    }
    is_known_text = (
        hiding.name == "job_name" and hiding.shape == "text"
    )  # nobody can tell that it is one; but see below
    place[hiding.name] = f"pwd: {secret}" if is_known_text else shapes[hiding.shape]
    return document


@given(HIDINGS)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_should_leave_a_hidden_secret_nowhere(door, hiding):
    secret = make_secret()
    content = json.dumps(hide(hiding, secret), ensure_ascii=False).encode(hiding.encoding)
    content = content[: int(len(content) * hiding.cut)] if hiding.cut else content
    text = content.decode("latin-1")
    if hiding.door == "http":
        handler(http("POST", "/api/workflows/wf_001/run", ROUTE, text), Context())
    elif hiding.door.startswith("bus"):
        detail = {"request": text} if hiding.door == "bus text" else hide(hiding, secret)
        door.deliver(eventbridge("JobRequested", detail, event_id=str(uuid.uuid4())))
    else:
        notice = door.drop(content)
        if hiding.door == "minio":
            notice = minio(door.bucket, door.key)
        door.deliver(notice)
    door.assert_clean(secret)
