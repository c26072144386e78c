"""A source that went back in time is noticed and refused, until a person decides."""

import json

CONFIG = {"isIncremental": True}


def made(stack, name: str, column: str, sql_type: str, *values: str) -> dict:
    """A table with a cursor of that type, loaded once; returns its databaseConfig."""
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int, {column} {sql_type})")
    names = "id, v" if sql_type == "rowversion" else f"id, v, {column}"
    stack.execute(*(f"INSERT INTO {name} ({names}) VALUES ({value})" for value in values))
    config = {"tableName": name, "deltaColumn": column} | CONFIG
    assert stack.load(config)["status"] == "published"
    return config


def refused(stack, config: dict) -> dict:
    table = stack.load(config)
    assert table["status"] == "failed", table
    assert table["error"]["error"] == "SourceChanged"
    assert "flowforge watermark" in table["error"]["remedy"]
    return table["error"]


def marks(stack, name: str) -> dict:
    return stack.http.get(f"/api/watermarks/{name}").json()


def test_should_refuse_a_table_whose_rows_went_back_and_go_on_once_it_is_accepted(stack, name):
    config = made(stack, name, "modified", "datetime2(3)", "1, 1, '2024-01-01'", "2, 1, '2024-01-02 10:00:00.123'")
    before = marks(stack, name)["watermarks"]
    stack.execute(f"UPDATE {name} SET v = 0, modified = '2024-01-01 09:00' WHERE id = 2")
    error = refused(stack, config)
    assert "2024-01-02 10:00:00.123" in error["cause"]
    assert refused(stack, config)  # and again: time alone mends nothing
    assert marks(stack, name)["watermarks"] == before

    answer = stack.http.post(f"/api/watermarks/{name}/accept", json={"reason": "one row was mended"})
    assert answer.status_code == 200, answer.text
    kept = marks(stack, name)
    assert (kept["watermarks"]["modified"]["value"], kept["generation"]) == (before["modified"]["value"], 2)
    assert kept["audit"][0]["action"] == "accept"
    assert kept["audit"][0]["reason"] == "one row was mended"
    stack.execute(f"INSERT INTO {name} VALUES (3, 3, SYSDATETIME())")
    stack.settle()
    assert stack.load(config)["silver_rows"] == 3


def test_should_refuse_a_table_that_has_lost_everything_new(stack, name):
    config = made(stack, name, "modified", "datetime", *(f"{n}, 1, '2024-01-0{n}'" for n in range(1, 4)))
    stack.execute(*(f"INSERT INTO {name} VALUES ({n}, 1, GETDATE())" for n in (7, 8, 9)))
    stack.settle()
    assert stack.load(config)["records"] >= 3
    stack.execute(f"DELETE FROM {name} WHERE id > 1")
    assert "newest value is 2024-01-01" in refused(stack, config)["cause"]


def test_should_take_a_deleted_row_for_a_deleted_row(stack, name):
    config = made(stack, name, "modified", "datetime", *(f"{n}, 1, '2024-01-0{n}'" for n in range(1, 6)))
    stack.execute(f"DELETE FROM {name} WHERE id = 5", f"INSERT INTO {name} VALUES (6, 1, GETDATE())")
    stack.settle()
    assert stack.load(config)["status"] == "published"


def test_should_refuse_an_identity_column_that_was_reseeded(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int IDENTITY(1,1) PRIMARY KEY, v int)")
    stack.execute(*(f"INSERT INTO {name} (v) VALUES ({n})" for n in range(5)))
    config = {"tableName": name, "deltaColumn": "id"} | CONFIG
    assert stack.load(config)["records"] == 5
    stack.execute(f"TRUNCATE TABLE {name}", *(f"INSERT INTO {name} (v) VALUES ({n})" for n in range(2)))
    assert "given out 5 and is at 2" in refused(stack, config)["cause"]
    assert stack.http.delete(f"/api/watermarks/{name}").status_code == 200
    assert stack.load(config)["records"] == 2


def test_should_refuse_a_table_that_was_dropped_and_made_again(stack, name):
    config = made(stack, name, "modified", "datetime", "1, 1, '2024-01-01'")
    stack.execute(f"DROP TABLE {name}", f"CREATE TABLE {name} (id int PRIMARY KEY, v int, modified datetime)")
    assert "object_id was" in refused(stack, config)["cause"]
    assert stack.http.post(f"/api/watermarks/{name}/accept", json={}).status_code == 200
    stack.execute(f"INSERT INTO {name} VALUES (2, 2, GETDATE())")
    stack.settle()
    assert stack.load(config)["records"] == 1


def test_should_refuse_row_versions_that_went_back(stack, name):
    config = made(stack, name, "rv", "rowversion", "1, 1", "2, 1")
    state = marks(stack, name)["watermarks"]["rv"]
    ahead = f"0x{int(state['value'], 16) + 10**9:016X}"
    restored_behind(stack, name, ahead)
    error = refused(stack, config)
    assert ahead in error["cause"]
    assert "accept" not in error["remedy"]


def restored_behind(stack, name: str, value: str) -> None:
    """Moves the committed watermark ahead of the server, which is what a restored server looks like from the watermark."""
    dynamo = stack.client("dynamodb")
    (table,) = [t for t in dynamo.list_tables()["TableNames"] if "Watermarks" in t]
    (found,) = [
        item
        for page in dynamo.get_paginator("scan").paginate(TableName=table)
        for item in page["Items"]
        if item["sk"]["S"] == "STATE" and name in item["pk"]["S"]
    ]
    kept = json.loads(found["watermarks"]["S"])
    kept["rv"]["value"] = value
    found["watermarks"] = {"S": json.dumps(kept)}
    dynamo.put_item(TableName=table, Item=found)
