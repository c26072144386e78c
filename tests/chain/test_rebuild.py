"""The watermark table is lost: bronze footers restore it, and the next load neither loses nor doubles."""

import json
from collections.abc import Iterator

import pytest

from tests.helpers.stack import BRIEF, Stack, flowforge, in_lake_of


@pytest.fixture(scope="module")
def lost(tmp_path_factory) -> Iterator[Stack]:
    """A stack of its own, in a folder where the command line finds it: its watermark table is wiped."""
    running = Stack(tmp_path_factory.mktemp("lost") / ".flowforge", BRIEF)
    with in_lake_of(running):
        try:
            yield running
        finally:
            running.stop()


def wipe(stack: Stack) -> None:
    dynamo, table = stack.client("dynamodb"), stack.facts["watermarks_table"]
    for page in dynamo.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamo.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def rebuilt(stack: Stack, *options: str, code: int = 0) -> dict:
    ended = flowforge(stack, "watermark", "rebuild", "--json", *options)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return {one["bronze_table"]: one for one in json.loads(ended.stdout)["tables"]}


def change(stack: Stack, name: str, first: int) -> None:
    rows = ", ".join(f"({n}, {n}, GETDATE())" for n in range(first, first + 10))
    stack.execute(
        f"INSERT INTO {name} VALUES {rows}", f"UPDATE {name} SET v = v + 100, modified = GETDATE() WHERE id = 1"
    )
    stack.settle()


def same_rows(stack: Stack, name: str) -> bool:
    source = stack.ask(f"SELECT id, v FROM {name} ORDER BY id")
    return stack.lake(f"SELECT id, v FROM gold.{name} ORDER BY id") == source


def test_should_go_on_where_bronze_ended(lost, name):
    lost.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int, modified datetime)")
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    change(lost, name, 1)
    assert lost.load(config)["records"] == 10
    change(lost, name, 11)
    second = lost.load(config)
    lost.load({"tableName": "accounts"})
    before = lost.http.get(f"/api/watermarks/{name}").json()
    assert rebuilt(lost)[f"bronze_{name}"]["action"] == "kept"

    wipe(lost)
    shown = rebuilt(lost)[f"bronze_{name}"]
    assert (shown["action"], shown["stored"]) == ("would be written", None)
    assert lost.http.get(f"/api/watermarks/{name}").status_code == 404  # so far nothing was changed
    assert {one["action"] for one in rebuilt(lost, "--write").values()} == {"written"}

    after = lost.http.get(f"/api/watermarks/{name}").json()
    assert after["watermarks"]["modified"]["value"] == second["watermark_after"]
    assert (after["seq"], after["generation"]) == (before["seq"], before["generation"] + 1)
    assert [batch["seq"] for batch in after["history"]] == [2, 1]
    change(lost, name, 21)
    third = lost.load(config)
    assert (third["status"], third["watermark_before"]) == ("published", second["watermark_after"])
    assert third["silver_rows"] == 30
    assert same_rows(lost, name)
    assert lost.load({"tableName": "accounts"})["silver_rows"] == 750
    assert rebuilt(lost, "--write", "--table", f"bronze_{name}", code=1)[f"bronze_{name}"]["action"] == "kept"


def test_should_see_what_silver_lacks(lost, name):
    lost.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int, modified datetime)")
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    change(lost, name, 1)
    assert lost.load(config)["status"] == "published"
    s3, bucket = lost.client("s3"), lost.facts["bucket"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"silver/{name}/"):
        for entry in page["Contents"]:
            s3.delete_object(Bucket=bucket, Key=entry["Key"])
    wipe(lost)
    written = rebuilt(lost, "--write", "--table", f"bronze_{name}")[f"bronze_{name}"]
    assert (written["batches"], written["for_silver"]) == (1, 1)
