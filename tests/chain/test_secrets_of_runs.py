"""A password is in the secret store and nowhere else: not in a file, log, process, item, message or object of a stack that used
it.

It is looked for in what real runs leave behind, those that are refused or fail among them, by both drivers. The source is a
server of the test's own, since the stack's own password is a documented one.
"""

import json
import uuid
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.helpers.stack import Stack, own
from tests.helpers.standin import start, stop
from tests.helpers.waiting import wait_for

PAGES = ("/", "/api/runs", "/api/connections", "/api/dead-letters", "/api/alerts", "/api/tables", "/_local/state")


@pytest.fixture(scope="module")
def secret() -> str:
    return f"Hid'{uuid.uuid4().hex[:12]}+é!"


@pytest.fixture(scope="module")
def source(secret, tmp_path_factory) -> Iterator[dict]:
    """How a request names a server that is logged in to by the secret."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HIDDEN_PASSWORD", secret)
        server = start(tmp_path_factory.mktemp("tls"), "--bank", "--scale", "0.02", "--password-env", "HIDDEN_PASSWORD")
    try:
        where = {"host": "localhost", "port": server.port, "database": server.database, "username": "sa"}
        yield where | {"password": secret, "trustServerCertificate": True}
    finally:
        stop(server)


def requested(stack: Stack, connection: dict, table: str, name: str) -> dict:
    document = stack.request({"tableName": table}, **own(name))
    document["source_config"]["connection"] = connection
    return document


def spellings(secret: str) -> list[bytes]:
    """How it could stand in text, JSON, an address, a header or a driver's own log."""
    written = [secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret), b64encode(secret.encode()).decode()]
    return [text.encode(code) for text in written for code in ("utf-8", "utf-16-le")]


def left_behind(stack: Stack, since: datetime) -> Iterator[tuple[str, bytes]]:
    """(where, content) of all that a stack's runs have left since then, but for its secret store."""
    for path in stack.state.rglob("*"):
        if path.is_file():
            yield f"file {path.relative_to(stack.state)}", path.read_bytes()
    for pid in [stack.process.pid, *(pid for function in functions(stack) for pid in stack.workers(function))]:
        for what in ("cmdline", "environ"):
            yield f"{what} of process {pid}", Path(f"/proc/{pid}/{what}").read_bytes()
    s3, bucket = stack.client("s3"), stack.facts["bucket"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in (one for one in page.get("Versions", []) if one["LastModified"] >= since):
            found = s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
            yield f"object {one['Key']}", found["Body"].read() + repr(found["Metadata"]).encode()
    dynamodb = stack.client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            yield f"table {table}", json.dumps(page["Items"], ensure_ascii=False, default=str).encode()
    sqs = stack.client("sqs")
    for queue in sqs.list_queues().get("QueueUrls", []):
        every = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0, **every)
        yield f"queue {queue}", json.dumps(found.get("Messages", []), ensure_ascii=False, default=str).encode()
    for page in PAGES:
        answer = stack.http.get(page)
        yield f"page {page}", answer.content + repr(answer.headers).encode()


def kept(stack: Stack, key: str) -> bytes:
    return stack.client("s3").get_object(Bucket=stack.facts["bucket"], Key=key)["Body"].read()


def functions(stack: Stack) -> list[str]:
    return list(stack.http.get("/_local/state").json()["functions"])


def test_should_leave_a_password_in_no_place_but_the_secret_store(stack, name, source, secret):
    since = datetime.now(UTC).replace(microsecond=0)  # times of objects are whole seconds
    runs = [
        stack.run(requested(stack, source | {"driver": driver}, table, f"{name}_{n}"))
        for n, (driver, table) in enumerate(
            [("pymssql", "customers"), ("mssql-python", "customers"), ("pymssql", "nothing"), ("mssql-python", "nope")]
        )
    ]
    assert [run["status"] for run in runs] == ["succeeded", "succeeded", "failed", "failed"]
    wrong = [f"{source['password']}x", source["password"][:-1]]  # that begin or end as it does
    for n, (driver, password) in enumerate(zip(("pymssql", "mssql-python"), wrong, strict=True)):
        refused = requested(stack, source | {"driver": driver, "password": password}, "customers", f"{name}_w{n}")
        assert stack.run(refused)["status"] == "failed"
    mistaken = requested(stack, source | {"port": "none", "pwd": secret}, "customers", name)
    assert stack.post(mistaken).status_code == 400
    dropped = json.dumps(mistaken, ensure_ascii=False).encode()
    stack.client("s3").put_object(Bucket=stack.facts["bucket"], Key=f"requests/{name}.json", Body=dropped)
    tried = {"connection": source, "id": f"c-{name}"}
    assert stack.http.post("/api/test-connection/database", json=tried).status_code in (200, 400)
    assert stack.http.post("/api/database/tables", json={"connection": source}).status_code == 200
    saved = stack.http.post("/api/connections", json={"id": f"c-{name}", **source})
    assert saved.status_code in (200, 201) and secret not in saved.text
    wait_for(
        lambda: secret.encode() not in kept(stack, f"requests/{name}.json"), "the file's copy without its password"
    )
    places, forms = list(left_behind(stack, since)), spellings(secret[:-1])
    assert {"object", "table", "page", "file"} <= {
        where.split()[0] for where, content in places if name.encode() in content
    }
    assert sorted({where for where, content in places if any(form in content for form in forms)}) == []
