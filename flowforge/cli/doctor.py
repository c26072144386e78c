"""`flowforge doctor`: looks at what a deployment rests on, and says for each finding what to do.

The API is asked as any command does; the lake is tried with the caller's own S3 credentials, as `flowforge sql` does.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.text import Text

from flowforge.cli import doctor_deployment as deployment
from flowforge.cli.doctor_functions import functions
from flowforge.cli.failure import FAILED, GOOD, Failure
from flowforge.cli.finding import Finding
from flowforge.cli.lake import Bucket, WatermarksTable, known_table, lake_failures, open_lake
from flowforge.cli.layout import Rows
from flowforge.cli.options import Session, api_command
from flowforge.cli.replay import LETTERS_AT_ONCE
from flowforge.cli.target import local_stack

STYLES = {"good": "green", "warning": "yellow", "bad": "red"}
AGAIN = "Mend what it says, then run flowforge doctor again."
UNREAD = "Look at the queue and the rights of replay's function: its log has the cause, flowforge replay asks again."
_COLUMNS = ("state", "what", "finding", "what to do")


@api_command
def doctor(session: Session, bucket: Bucket = None, watermarks_table: WatermarksTable = None) -> int:
    """Look at API, clock, versions, credentials, rights, S3, drift, functions, tables, queues; exits 1 when something is bad."""
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "2")  # a store that is away is the finding, not what to wait for
    table, local = known_table(watermarks_table, session.api), local_stack(session.api) is not None
    with session.open() as api:
        findings = [
            *_look("api", lambda: _api(api)),
            *_look("credentials", lambda: _credentials(open_lake(bucket, session.api))),
            *_look("conditional writes", lambda: _conditional_writes(open_lake(bucket, session.api))),
            *_look("rights", lambda: deployment.rights(open_lake(bucket, session.api), table)),
            *_look("drift", lambda: deployment.drift(open_lake(bucket, session.api), table, local=local)),
            *_look("functions", lambda: functions(table, local=local)),
            *_look("tables", lambda: _tables(api)),
            *_look("queues", lambda: _queues(api)),
            *_look("clock", lambda: deployment.clock(api)),
            *_look("versions", lambda: deployment.versions(api)),
        ]
    rows = [[Text(one.state, STYLES[one.state]), one.what, one.finding, one.remedy or None] for one in findings]
    session.out.answer({"findings": [asdict(one) for one in findings]}, Rows(_COLUMNS, rows, prose="finding"))
    return FAILED if any(one.state == "bad" for one in findings) else GOOD


def _look(what: str, at: Callable[[], list[Finding]]) -> list[Finding]:
    """Each is looked at alone: what cannot be told is a finding itself."""
    try:
        return at()
    except Failure as failure:
        return [Finding(what, "bad", failure.message, failure.remedy or AGAIN)]


def _api(api: Any) -> list[Finding]:
    api.get("runs", limit=1)
    return [Finding("api", "good", f"{api.url} answers")]


def _credentials(bucket: str) -> list[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    from flowforge.aws.clients import client

    try:
        client("s3").head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        remedy = "Name the bucket with --bucket, and give AWS credentials that may read and write it."
        return [Finding("credentials", "bad", f"bucket {bucket}: {error}", remedy)]
    return [Finding("credentials", "good", f"reach bucket {bucket} at {client('s3').meta.endpoint_url}")]


def _conditional_writes(bucket: str) -> list[Finding]:
    from flowforge.aws.clients import client
    from flowforge.aws.conditional_writes import prove, race

    with lake_failures():
        prove(client("s3"), bucket)
        race(client("s3"), bucket)
    told = "a key that is taken is refused, on PUT and on completion; of several writers at once one wins"
    return [Finding("conditional writes", "good", told)]


def _tables(api: Any) -> list[Finding]:
    marks = api.all_pages("watermarks", "watermarks")["watermarks"]
    broken = [mark for mark in marks if mark.get("problem")]
    if not broken:
        return [Finding("tables", "good", f"{len(marks):,} tables are known, and the state of each can be read")]
    return [Finding("tables", "bad", mark["problem"], f"flowforge watermark get {mark['id']}") for mark in broken]


def _queues(api: Any) -> list[Finding]:
    answer = api.all_pages("messages", "dead-letters", limit=LETTERS_AT_ONCE)
    counts: dict[str, int] = {}
    for one in answer["messages"]:
        counts[one["queue"]] = counts.get(one["queue"], 0) + 1
    more = " or more" if answer["more"] else ""
    failed = [Finding("queues", "bad", f"{f['queue']}: {f['problem']}", UNREAD) for f in answer.get("failed") or []]
    if not counts and not failed:
        return [Finding("queues", "good", "no message was given up")]
    remedy = "flowforge replay shows why; mend the cause and replay them, or discard them."
    return failed + [
        Finding("queues", "warning", f"{queue}: {count:,}{more} given up", remedy) for queue, count in counts.items()
    ]
