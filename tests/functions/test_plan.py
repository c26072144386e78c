"""`flowforge plan` asks the API: what a request would load now, by the stages that a load runs, and with nothing written."""

import json
from typing import Any

import pytest

from events.envelopes import http
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.domain.given import given
from flowforge.operations.preview import preview
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, corrections, file_ledger, table
from functions.describe_table.handler import handler
from tests.helpers.file_jobs import Job
from tests.helpers.loads import READER, Loads
from tests.helpers.standin import PASSWORD


@pytest.fixture
def ask(context, server):
    """The plan of tables, each a name or settings."""

    def asked(*tables: Any, login: str = "sa", first: int = 0, **destination: Any) -> dict[str, Any]:
        document = request_of(server, *tables, login=login, **destination)
        answer = handler(http("POST", "/api/plan", body=document, query={"first": str(first)}), context)
        assert answer["statusCode"] == 200, answer["body"]
        return json.loads(answer["body"])

    return asked


def request_of(server: Any, *tables: Any, login: str = "sa", **destination: Any) -> dict[str, Any]:
    connection = {"host": "localhost", "port": server.port, "database": server.database, "driver": "pymssql"}
    return {
        "workflow_id": "w",
        "job_id": "j",
        "source_type": "database",
        "source_config": {
            "type": "sql-server",
            "connection": connection | {"username": login, "password": PASSWORD},
            "databaseConfig": {"tables": [one if isinstance(one, dict) else {"tableName": one} for one in tables]},
        },
        "destination_config": destination,
    }


def incremental(load: Loads, **more: Any) -> dict[str, Any]:
    return {"tableName": load.name, "isIncremental": True, "deltaColumn": "at", **more}


def everything(load: Loads) -> dict[str, Any]:
    """All that could have been written of a table: its state, its objects, its messages, and the secrets."""
    s3, items = client("s3"), client("dynamodb")
    objects = s3.list_objects_v2(Bucket=settings().bucket).get("Contents", [])
    stored = items.scan(TableName=settings().watermarks_table)["Items"]
    return {
        "objects": sorted((one["Key"], one["ETag"]) for one in objects if load.name in one["Key"]),
        "items": sorted(
            text for item in stored if load.name in (text := json.dumps(item, sort_keys=True, default=str))
        ),
        "secrets": sorted(one["Name"] for one in client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]),
        "messages": load.submitted_again(),
    }


def test_should_plan_what_the_load_then_does_and_write_nothing(loads, ask):
    load = loads()
    for n in range(2):
        before = everything(load)
        (planned,) = ask(incremental(load, where=[{"column": "id", "operator": "<=", "value": 20}]))["tables"]
        assert everything(load) == before
        command = load.command(f"r{n}", where=[{"column": "id", "operator": "<=", "values": ["20"]}])
        load.follow(command)
        (batch, *_) = batch_records.history(load.key)
        assert planned["outcome"] == "loads"
        assert (planned["low"], planned["cursor"], planned["promise"]) == (
            batch.interval.low,
            batch.interval.column,
            batch.interval.promise,
        )
        assert (planned["rows"], planned["counted"]) == (given(batch.manifest).rows, True)
        assert planned["where"] == ["id <= 20"] and planned["high"] <= given(batch.interval.high)
        load.execute("UPDATE {t} SET at = '2024-06-01' WHERE id = 10")  # far below both bounds
        if n == 0:
            corrections.set_watermark(table.read_state(load.key), "at", "2024-01-15", "so that there is something new")
    assert planned["source_table"] == f"dbo.{load.name}" and planned["key"] == ["id"]


def test_should_plan_the_slices_that_the_load_queues(loads, ask, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1010")
    (planned,) = ask(load.name)["tables"]
    load.load("r", column=None)
    (batch,) = batch_records.history(load.key)
    assert planned["slices"] == len(given(batch.slices).ranges) > 1


def test_should_tell_of_each_table_what_its_load_would_end_in_and_plan_the_others(loads, ask):
    good, changed, keyless = loads(), loads(), loads()
    changed.load("a")
    answer = ask(
        incremental(changed, where=[{"column": "id", "value": 10}]),
        incremental(keyless, columns={"exclude": ["id"]}),
        "no_such_table",
        good.name + "_",
        incremental(good),
    )
    errors = [one["refused"]["error"] if one["refused"] else None for one in answer["tables"]]
    assert errors == ["ScopeChanged", "UnsupportedSource", "UnknownTable", "UnknownTable", None]
    assert "full_refresh" in answer["tables"][0]["refused"]["remedy"]
    assert (answer["total"], answer["next"]) == (5, None)


def test_should_refuse_a_place_in_silver_that_another_source_fills(loads, ask):
    first, other = loads(), loads()
    first.load("a")
    place = {"destination_config": {"silverConfig": {"tableName": first.command("b").silver.table}}}
    (planned,) = ask(incremental(other, **place))["tables"]
    assert (planned["outcome"], planned["refused"]["error"]) == ("refused", "ConflictingTarget")
    assert "silverConfig.tableName" in planned["refused"]["remedy"]
    assert ask(incremental(first, **place))["tables"][0]["refused"] is None


def test_should_go_on_behind_the_tables_that_were_planned(loads, ask):
    names = [loads().name for _ in range(2)]
    assert [one["source_table"] for one in ask(*names, first=1)["tables"]] == [f"dbo.{names[1]}"]


def test_should_warn_of_what_makes_a_load_dear_or_less_than_it_seems(loads, ask):
    load, heap = loads(indexed=False, login=READER), loads()
    heap.execute("DROP TABLE {t}", "CREATE TABLE {t} (id int, n int)", "INSERT INTO {t} VALUES (1, 1), (2, 1)")
    load.execute("ALTER TABLE {t} ADD phone varchar(20) MASKED WITH (FUNCTION = 'default()')")
    first, second = ask(
        incremental(load), {"tableName": heap.name, "isIncremental": True, "deltaColumn": "n"}, login=READER
    )["tables"]
    told, other = "\n".join(first["warnings"]), "\n".join(second["warnings"])
    assert "leads no index" in told and "masked for this login" in told and "may miss" in told
    assert "no primary key" in other and "a heap" in other and "a heap" not in told
    (tied,) = ask({"tableName": heap.name, "isIncremental": True, "deltaColumn": "n"})["tables"]
    assert "several rows can have one n" in "\n".join(tied["warnings"])


def test_should_say_of_an_encrypted_column_and_of_a_masked_key_what_their_loads_would_say(loads, ask):
    load = loads(login=READER)
    load.execute(
        "ALTER TABLE {t} ADD ssn varchar(11) ENCRYPTED WITH (COLUMN_ENCRYPTION_KEY = k, ENCRYPTION_TYPE = RANDOMIZED, "
        "ALGORITHM = 'AEAD_AES_256_CBC_HMAC_SHA_256') NULL",
        "ALTER TABLE {t} ADD mail varchar(40) MASKED WITH (FUNCTION = 'email()')",
    )

    def planned(**more: Any) -> dict[str, Any]:
        (row,) = ask(incremental(load, **more), login=READER)["tables"]
        return row

    refused = planned()["refused"]
    assert "column 'ssn' (varchar): it is encrypted by Always Encrypted (randomized)" in refused["message"]
    assert "databaseConfig.columns.exclude" in refused["remedy"]
    exclude = {"columns": {"exclude": ["ssn"]}}
    without = planned(**exclude)
    assert (without["outcome"], without["columns"]) == ("loads", 3)
    assert any("mail" in warning and "masked for this login" in warning for warning in without["warnings"])
    for more, told in (
        ({"where": [{"column": "ssn", "value": "1"}]}, "databaseConfig.where names 'ssn' (varchar): it is encrypted"),
        ({"cast": {"mail": "varchar(20)"}}, "databaseConfig.cast names 'mail', which this login sees masked"),
        (
            {"destination_config": {"silverConfig": {"primaryKey": ["mail"]}}},
            "mail is masked for this login, and is a key",
        ),
    ):
        refused = planned(**exclude, **more)["refused"]
        assert told in refused["message"] and refused["remedy"]
    assert planned(protect={"ssn": "drop"})["outcome"] == "loads"
    assert planned(protect={"ssn": "partial(2)"})["refused"]["message"].endswith("the server knows its ciphertext only")


def test_should_show_what_is_protected_and_no_value_of_it(loads, ask):
    load = loads()
    load.execute("ALTER TABLE {t} ADD ssn char(11)", "UPDATE {t} SET ssn = '078-05-1120'")
    answer = ask({"tableName": load.name, "protect": {"ssn": "partial(4)"}})
    assert answer["tables"][0]["protected"] == {"ssn": "partial(4)"} and "078-05" not in json.dumps(answer)


def test_should_say_that_there_is_nothing_new_and_that_another_load_has_the_table(loads, ask):
    load = loads()
    load.load("a")
    (planned,) = ask(incremental(load))["tables"]
    assert planned["outcome"] == "empty" and planned["reason"] and planned["last"] is None  # gold has not seen it
    load.execute("UPDATE {t} SET at = SYSUTCDATETIME() WHERE id = 10")
    ingest(load.command("b", column=None))  # landed, and not committed
    (planned,) = ask(incremental(load))["tables"]
    assert planned["outcome"] == "waits" and "under way" in planned["reason"]


def test_should_plan_on_where_the_figures_are_not_to_be_had(loads, server):
    """A login that may read the table alone: what is counted for people is not known, and nothing fails."""
    load = loads(login=READER)
    (planned,) = preview(request_of(server, incremental(load), login=READER))["tables"]
    assert planned["outcome"] == "loads" and planned["refused"] is None


def test_should_refuse_a_request_with_mistakes_as_a_run_would_be(context, server):
    document = request_of(server, {"tableName": "t", "deltaColumn": "a"})
    answer = handler(http("POST", "/api/plan", body=document), context)
    assert answer["statusCode"] == 400 and json.loads(answer["body"])["mistakes"]


FILE_COLUMNS = [
    {"name": "id", "field": "Id", "type": "bigint"},
    {"name": "amount", "field": "Amount", "type": "decimal(18,2)"},
    {"name": "note", "field": "Note"},
]


def shown(planned: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["key"].rpartition("/")[2], one["state"]) for one in planned["files"]]


@pytest.fixture
def ask_files(context, aws, unique):
    """The plan of a job of files of its own, and how a file of it is put and loaded."""

    class Planned:
        job = Job(unique("f"))

        def plan(self, **config: Any) -> dict[str, Any]:
            columns = [
                {"name": "id", "field": "Id", "type": "bigint"},
                {"name": "amount", "field": "Amount", "type": "decimal(18,2)"},
            ]
            config = {
                "filePattern": f"landing/{self.job.name}/*",
                "columns": [*columns, {"name": "note", "field": "Note"}],
                **config,
            }
            document = {
                "workflow_id": self.job.name,
                "job_id": "daily",
                "source_type": "file",
                "source_config": {"type": "csv", "fileConfig": config},
                "destination_config": {"bronzeConfig": {"tableName": f"bronze_{self.job.name}"}},
            }
            answer = handler(http("POST", "/api/plan", body=document), context)
            assert answer["statusCode"] == 200, answer["body"]
            (row,) = json.loads(answer["body"])["tables"]
            return row

    return Planned()


def test_should_plan_files_as_the_load_then_takes_them_and_write_nothing(ask_files):
    job = ask_files.job
    job.put("b.csv", "2,2.00,b")
    first, empty = job.put("a.csv", "1,1.00,a"), job.put("c.csv", header="")
    client("s3").put_object(Bucket=settings().bucket, Key=empty, Body=b"")
    for _ in range(2):
        planned = ask_files.plan()
        assert (planned["outcome"], planned["file_counts"]) == ("loads", {"next": 2, "empty": 1})
    assert shown(planned) == [("a.csv", "next"), ("b.csv", "next"), ("c.csv", "empty")]
    assert planned["bytes"] == sum(one["size"] for one in planned["files"])
    assert table.read_state(job.key).seq == 0  # nothing is known of the table yet
    (fact,) = job.load().facts
    assert fact.records == 2
    again = ask_files.plan()
    assert (again["outcome"], again["file_counts"]) == ("empty", {"loaded": 2, "empty": 1})
    assert again["last"]["run_id"] == fact.run_id
    ledger = list(file_ledger.entries(job.key))
    job.put("a.csv", "1,9.00,new")
    assert [one["key"] for one in ask_files.plan()["files"] if one["state"] == "next"] == [first]
    assert list(file_ledger.entries(job.key)) == ledger  # not even what is settled by the next load


def test_should_plan_one_file_at_a_time_where_a_row_may_replace_another(ask_files):
    job = ask_files.job
    for name in ("b.csv", "a.csv"):
        job.put(name, "1,1.00,a")
    planned = ask_files.plan(together=False)
    assert shown(planned) == [("a.csv", "next"), ("b.csv", "waits")]


def test_should_plan_the_slices_of_a_large_file_and_say_where_it_is_read_at_once(ask_files, aws, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "100")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    job = ask_files.job
    key = job.put("a.csv", *[f"{n},1.00,{n:09}" for n in range(10, 60)])
    for more, why in (
        ({"columns": [], "types": "inferred"}, "its columns are taken from all of it"),
        ({"compressionType": "gzip"}, "it is gzip, which is not read from its middle"),
        ({"encoding": "utf-16"}, "utf-16 is not read from its middle"),
    ):
        other = ask_files.plan(**more)
        assert (other["slices"], other["warnings"][-1].partition(" is large and read ")[2]) == (1, f"at once: {why}")
    planned = ask_files.plan()
    assert ingest(job.command()).facts == []  # its slices are queued
    (batch,) = batch_records.history(job.key)
    parts = len(
        given(batch.slices).ranges
    )  # each is of that size or, where it is as small as here, up to twice as large
    assert 1 < parts <= planned["slices"] <= 2 * parts
    assert planned["warnings"] == [
        f"s3://{settings().bucket}/{key} is large and read in about {planned['slices']} slices"
    ]


def test_should_tell_whether_a_comparison_of_keys_is_due_and_what_it_reads(loads, ask):
    load = loads()
    asked = {"silverConfig": {"deletes": {"detect": "keys", "every": "10 minutes", "mode": "soft"}}}
    (first,) = ask(incremental(load), **asked)["tables"]
    assert (first["comparison"]["due"], first["comparison"]["last"]) == (False, None)  # nothing that could be gone
    load.load("a")
    (planned,) = ask(incremental(load), **asked)["tables"]
    found = planned["comparison"]
    assert (found["due"], found["key"], found["deletes"], found["refused"]) == (True, ["id"], "soft", None)
    assert (found["every_seconds"], found["max_delete_share"]) == (600, 0.1)
    assert ask(incremental(load))["tables"][0]["comparison"] is None
    keyless = loads()
    keyless.execute("DROP TABLE {t}", "CREATE TABLE {t} (id int, at datetime2(3))")
    keyless.load("a")
    (told,) = ask(incremental(keyless), **asked)["tables"]
    assert "has no key" in told["comparison"]["refused"]["message"]
