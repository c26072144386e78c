"""`flowforge reconcile` finds what differs between source and silver, and nothing else."""

import json

import pytest

from flowforge.domain.source_key import SourceKey
from tests.helpers.stack import flowforge, reconciled, wait_for_green
from tests.helpers.waiting import wait_for

SAVED = ("host", "port", "database", "username", "password")
LAYERS = ("bronzeConfig", "silverConfig", "goldConfig")


def test_should_find_the_rows_that_differ_and_name_their_ranges(compared, name):
    values = ", ".join(f"({n}, {n}, '2024-01-01')" for n in range(1, 101))
    compared.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int, modified datetime2(7))", f"INSERT INTO {name} VALUES {values}"
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    assert compared.load(config)["records"] == 100
    same = reconciled(compared, name, "--range-rows", "10")
    assert (same["differs"], same["source_rows"], same["silver_rows"], len(same["ranges"])) == (False, 100, 100, 10)
    assert all(one["source_checksum"] == one["silver_checksum"] for one in same["ranges"])

    compared.execute(
        f"UPDATE {name} SET v = -1 WHERE id = 15",  # without a stamp: no incremental load can see it
        f"DELETE FROM {name} WHERE id = 99",
        f"INSERT INTO {name} VALUES (1000, 1, '2023-01-01')",  # stamped in the past
        f"UPDATE {name} SET v = 7, modified = SYSDATETIME() WHERE id = 30",  # comes with the next load
        f"INSERT INTO {name} VALUES (2000, 1, SYSDATETIME())",
    )
    found = reconciled(compared, name, "--range-rows", "10")
    wrong = [one for one in found["ranges"] if one["missing"] or one["changed"]]
    assert [(one["first"], one["last"], one["changed"], one["missing"], one["examples"]) for one in wrong] == [
        (["11"], ["20"], 1, 0, ["15"]),
        (["92"], ["1000"], 0, 1, ["1000"]),
    ]
    assert (found["newer_rows"], found["only_in_silver"], found["only_in_silver_examples"]) == (2, 1, ["99"])
    shown = flowforge(compared, "reconcile", name)
    assert shown.returncode == 1
    assert "different" in shown.stdout

    assert compared.http.delete(f"/api/watermarks/{name}").status_code == 200
    compared.settle()
    compared.load({"tableName": name}, bronzeConfig={"tableName": f"bronze_{name}", "loadStrategy": "full_refresh"})
    assert reconciled(compared, name)["differs"] is False


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["keyed", "keyless"])
def test_should_leave_a_row_that_got_the_last_number_to_the_next_load(compared, name, key):
    compared.execute(
        f"CREATE TABLE {name} (id int {key}, day int)", f"INSERT INTO {name} VALUES (1, 20240130), (2, 20240131)"
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "day"}
    assert compared.load(config)["records"] == 2
    compared.execute(f"INSERT INTO {name} VALUES (3, 20240131)")
    found = reconciled(compared, name)
    assert not found["differs"], found
    loaded = compared.load(config)
    assert (loaded["records"], loaded["silver_rows"], loaded["inserted"]) == (2, 3, 1)
    assert compared.load(config)["status"] == "empty"
    assert not reconciled(compared, name)["differs"]


def test_should_compare_the_wanted_rows_alone_and_find_those_that_stopped_to_fit(compared, name):
    compared.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, region nvarchar(9), modified datetime2(3))",
        f"INSERT INTO {name} VALUES (1, 'north', '2024-01-01'), (2, 'south', '2024-01-01'), (3, 'north', '2024-01-01')",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    config |= {"where": [{"column": "Region", "value": "NORTH"}]}
    assert compared.load(config)["records"] == 2
    same = reconciled(compared, name)
    assert (same["differs"], same["source_rows"], same["silver_rows"]) == (False, 2, 2)
    compared.execute(f"UPDATE {name} SET region = 'south', modified = '2024-02-01' WHERE id = 3")
    assert compared.load(config)["status"] == "empty"
    found = reconciled(compared, name)
    assert (found["differs"], found["only_in_silver_examples"]) == (True, ["3"])
    refresh = {"tableName": name, "where": config["where"]}
    compared.load(refresh, bronzeConfig={"tableName": f"bronze_{name}", "loadStrategy": "full_refresh"})
    assert reconciled(compared, name)["differs"] is False


def test_should_find_every_type_the_same(compared, name):
    config = {"tableName": "customers", "isIncremental": True, "deltaColumn": "modified_date"}
    assert compared.load(config)["status"] == "published"
    assert reconciled(compared, "customers")["differs"] is False
    columns = (
        "c1 bit, c2 tinyint, c3 smallint, c4 bigint, c5 real, c6 float, c7 decimal(38,10), c8 money, c9 date, c10 time(7), "
        "c11 smalldatetime, c12 datetime, c13 datetime2(7), c14 datetimeoffset(7), c15 uniqueidentifier, c16 nvarchar(20), "
        "c17 varbinary(10), c18 rowversion"
    )
    compared.execute(
        f"CREATE TABLE {name} (k uniqueidentifier, s nvarchar(20), {columns}, PRIMARY KEY (k, s))",
        f"INSERT INTO {name} (k, s, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17) VALUES "
        "(NEWID(), N'a', 1, 255, -5, 1, 0.1, 0.1, 12345.0000000001, 1.2345, '2024-02-29', '12:34:56.1234567', "
        "'2024-01-01 10:00', '2024-01-01 10:00:00.997', '2024-01-01 10:00:00.1234567', '2024-01-01 10:00 +02:00', NEWID(), "
        "N'äöü''', 0x00FF), (NEWID(), N'B', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
        "NULL, NULL, NULL, NULL)",
    )
    assert compared.load({"tableName": name, "isIncremental": True, "deltaColumn": "c18"})["records"] == 2
    answer = reconciled(compared, name)
    assert (answer["differs"], answer["source_rows"], answer["not_compared"]) == (False, 2, [])
    compared.execute(f"UPDATE {name} SET c16 = NULL WHERE s = N'B'")  # the row version moves: it is newer
    assert reconciled(compared, name)["newer_rows"] == 1


def test_should_say_what_a_comparison_rests_on_where_a_policy_hides_rows(compared, name):
    compared.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 1), (2, 2)")
    assert compared.load({"tableName": name})["records"] == 2
    assert reconciled(compared, name)["rests_on"] == []
    compared.execute(
        f"CREATE FUNCTION dbo.fn_{name}(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @id < 2",
        f"CREATE SECURITY POLICY dbo.p_{name} ADD FILTER PREDICATE dbo.fn_{name}(id) ON dbo.{name} WITH (STATE = ON)",
    )
    found = reconciled(compared, name)
    assert found["only_in_silver"] == 1 and "a security policy shows this login" in found["rests_on"][0]
    assert "may be hidden" in " ".join(flowforge(compared, "reconcile", name).stdout.split())
    compared.execute(f"DROP SECURITY POLICY dbo.p_{name}")


def test_should_compare_with_the_server_that_was_loaded_from_and_refuse_another(compared, name):
    compared.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    assert compared.load({"tableName": name})["records"] == 1
    where = compared.facts["sqlserver"]
    found = reconciled(compared, name)
    assert found["server"].endswith(f":{where['port']}/{where['database']}") and not found["differs"]
    request = compared.request({"tableName": name})
    request["source_config"]["connection"]["host"] = "elsewhere.example"
    file = compared.state / "elsewhere.json"
    file.write_text(json.dumps(request))
    ended = flowforge(compared, "reconcile", name, "--json", "--request", str(file))
    assert ended.returncode == 1
    told = json.loads(ended.stdout)
    assert told["error"] == "SourceMismatch" and "elsewhere.example" in told["message"]


def test_should_look_at_a_source_by_the_saved_connection_that_its_table_was_loaded_by(compared, name):
    compared.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    saved = {"id": name, **{field: compared.connection[field] for field in SAVED}}
    assert compared.http.post("/api/connections", json=saved).is_success
    first = compared.request({"tableName": name})
    first["source_config"]["connection"] = {"connectionId": name}
    other = compared.request({"tableName": name}, **{layer: {"tableName": f"o_{name}"} for layer in LAYERS})
    other["source_config"]["connection"] = {"connectionId": name}
    assert compared.run(first)["status"] == "succeeded"
    assert not reconciled(compared, name)["differs"]
    assert compared.run(other)["status"] == "succeeded"
    described = json.loads(flowforge(compared, "describe", name, "--json").stdout)  # of two loads, from one place
    assert (described["server"], described["name"]) == (f"connection {name}", name)

    assert compared.http.delete(f"/api/connections/{name}").is_success
    ended = flowforge(compared, "reconcile", f"bronze_{name}", "--json")
    assert ended.returncode == 1 and json.loads(ended.stdout)["message"] == f"no saved connection '{name}'"


def test_should_tell_a_source_with_mistakes_field_by_field(compared, name):
    compared.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    compared.load({"tableName": name})
    request = compared.request({"tableName": name})
    request["source_config"]["connection"]["usrname"] = "sa"
    file = compared.state / "misspelt.json"
    file.write_text(json.dumps(request))
    ended = flowforge(compared, "reconcile", name, "--json", "--request", str(file))
    assert ended.returncode == 2 and "usrname" in json.loads(ended.stdout)["mistakes"][0]["field"]


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_should_count_rows_in_quarantine_apart(compared, name, key):
    compared.execute(
        f"CREATE TABLE {name} (id int NOT NULL {key}, v int, at time(7))",
        f"INSERT INTO {name} VALUES (1, 1, '10:00:00.1234567'), (2, 99, NULL), (3, 98, '11:00')",
    )
    rule = {"rule": "range", "column": "v", "max": 10, "severity": "quarantine"}
    where = {"silverConfig": {"tableName": name, "qualityRules": [rule]}}
    compared.load({"tableName": name}, **where)
    answer = reconciled(compared, name)
    assert (answer["differs"], answer["silver_rows"], answer["in_quarantine"]) == (False, 1, 2)
    compared.execute(f"UPDATE {name} SET v = 97 WHERE id = 3", f"UPDATE {name} SET v = 2 WHERE id = 2")
    if key:
        found = reconciled(compared, name)
        assert (found["in_quarantine"], [part["missing"] for part in found["ranges"]]) == (0, [2])
        compared.load({"tableName": name}, **where)
        answer = reconciled(compared, name)
        assert (answer["differs"], answer["silver_rows"], answer["in_quarantine"]) == (False, 2, 1)
        assert compared.lake(f"SELECT id, v FROM quarantine.{name}") == [(3, 97)]
        compared.execute(f"UPDATE {name} SET v = 96 WHERE id = 1")  # silver holds the row of before
        compared.load({"tableName": name}, **where)
        assert (reconciled(compared, name)["differs"], reconciled(compared, name)["in_quarantine"]) == (False, 2)
        assert "in quarantine" in flowforge(compared, "reconcile", name).stdout


ODD = "a/b>c %2F #1 ü😀"


def test_should_take_a_table_through_all_steps_whatever_signs_its_name_has(compared, name):
    """Two tables whose names differ in a sign only, which no path holds: each has objects, keys and a watermark of its own."""
    tables = [f"{name} {ODD}", f"{name} {ODD.replace('/', '>')}"]
    config = {
        "tables": [
            {"tableName": f"[dbo].[{table}]", "isIncremental": True, "deltaColumn": "modified"} for table in tables
        ]
    }
    compared.execute(f"CREATE TABLE [{tables[1]}] (id int PRIMARY KEY, v int, modified datetime2(7))")
    compared.execute(f"INSERT INTO [{tables[1]}] VALUES (1, 1, '2024-01-01')")
    run = compared.run(compared.request(config))
    by_status = {one["status"]: one["table"] for one in run["tables"]}
    first, second = by_status["failed"], by_status["published"]
    compared.execute(f"CREATE TABLE [{tables[0]}] (id int PRIMARY KEY, v int, modified datetime2(7))")
    compared.execute(f"INSERT INTO [{tables[0]}] VALUES (1, 10, '2024-01-01'), (2, 20, '2024-01-02')")
    assert flowforge(compared, "replay", "--run", run["run_id"]).returncode == 0
    loaded = {one["table"]: one["silver_rows"] for one in wait_for_green(compared, run["run_id"])["tables"]}
    assert loaded == {first: 2, second: 1}

    compared.execute(f"INSERT INTO [{tables[0]}] VALUES (3, 30, SYSDATETIME())")
    compared.settle()
    again = {one["table"]: one for one in compared.run(compared.request(config))["tables"]}
    assert (again[first]["status"], again[first]["records"], again[first]["silver_rows"]) == ("published", 1, 3)
    assert again[second]["status"] == "empty"

    shown = json.loads(flowforge(compared, "watermark", "get", f"dbo.{tables[0]}", "--json").stdout)
    assert (shown["source_table"], shown["bronze_table"]) == (f"dbo.{tables[0]}", first)
    assert SourceKey.parse(shown["source_key"])[2:] == (
        shown["connection"]["database"],
        "dbo",
        tables[0],
        first,
    )
    for table, bronze in zip(tables, (first, second), strict=True):
        assert not reconciled(compared, f"dbo.{table}")["differs"]
        rebuilt = flowforge(compared, "watermark", "rebuild", "--table", bronze, "--json")
        assert [one["bronze_table"] for one in json.loads(rebuilt.stdout)["tables"]] == [bronze]
    lineage = flowforge(compared, "lineage", first, "--json")
    named = {one["table"] for one in json.loads(lineage.stdout)["tables"]}
    assert f"{shown['connection']['database']}.dbo.{tables[0]}" in named
    assert flowforge(compared, "watermark", "reset", f"dbo.{tables[0]}", "--yes").returncode == 0


def test_should_take_out_what_is_gone_when_it_is_asked_to_and_refuse_too_much(compared, name):
    values = ", ".join(f"({n}, {n}, '2024-01-01')" for n in range(1, 41))
    compared.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int, modified datetime2(3))", f"INSERT INTO {name} VALUES {values}"
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    wanted = {"deletes": {"detect": "keys", "every": "1 day", "mode": "soft"}}
    assert compared.load(config, silverConfig=wanted)["silver_rows"] == 40
    compared.execute(f"DELETE FROM {name} WHERE id IN (7, 8)", f"UPDATE {name} SET v = -1 WHERE id = 9")
    compared.execute(f"DELETE FROM {name} WHERE id > 30")
    refused = flowforge(compared, "reconcile", name, "--apply")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    told = refused.stdout.replace("\n", " ")
    assert (
        "12 of 40 rows (30.00%)" in told and f"flowforge reconcile bronze_{name} --apply --max-delete-share 0.3" in told
    )
    looked_at = reconciled(compared, name)  # as the refusal says
    assert (looked_at["only_in_silver"], looked_at["source_rows"]) == (12, 28)
    allowed = flowforge(compared, "reconcile", name, "--apply", "--max-delete-share", "0.3", "--json")
    (table,) = json.loads(allowed.stdout)["tables"]
    assert (allowed.returncode, table["status"], table["deleted"], table["silver_rows"]) == (0, "published", 12, 40)
    found = reconciled(compared, name)
    assert (found["only_in_silver"], [one["changed"] for one in found["ranges"]]) == (0, [1])
    assert compared.lake(f"SELECT count(*) FILTER (_is_deleted), count(*) FROM gold.{name}") == [(12, 40)]
    assert compared.lake(f"SELECT count(*) FROM bronze.bronze_{name}") == [(40,)]  # keys are no rows of it
    elsewhere = flowforge(compared, "reconcile", name, "--apply", "--host", "db", "--database", "d")
    assert elsewhere.returncode == 2 and "leave the source's options out" in elsewhere.stderr


def test_should_compare_keys_by_itself_once_a_request_asks_for_it(compared, name):
    compared.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, modified datetime2(3))",
        f"INSERT INTO {name} VALUES (1, '2024-01-01'), (2, '2024-01-01'), (3, '2024-01-01')",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    assert compared.load(config)["silver_rows"] == 3
    compared.execute(f"DELETE FROM {name} WHERE id = 2")
    wanted = {"deletes": {"detect": "keys", "every": "1 week", "maxDeleteShare": 0.5}}
    document = compared.request(config, silverConfig=wanted)
    assert compared.run(document)["tables"][0]["status"] == "empty"
    asked = {"workflow_id": f"{document['workflow_id']}.deletes"}
    (run,) = wait_for(lambda: compared.http.get("/api/runs", params=asked).json()["runs"], "the comparison")
    (table,) = compared.finished(run["run_id"])["tables"]
    assert (table["status"], table["deleted"]) == ("published", 1)
    assert compared.lake(f"SELECT id FROM gold.{name} ORDER BY id") == [(1,), (3,)]
    lineage = flowforge(compared, "lineage", f"silver.{name}", "--columns", "--json")
    assert f"bronze.bronze_{name}" in lineage.stdout and "modified" in lineage.stdout
    compared.run(document)
    assert len(compared.http.get("/api/runs", params=asked).json()["runs"]) == 1  # in a week again
