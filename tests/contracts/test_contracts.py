"""The contracts: samples parse, files are up to date, requests are strict, messages are tolerant."""

import copy
import json
from pathlib import Path
from typing import get_args

import pytest

from events import commands, facts
from events.choices import DatabaseKind
from events.dispatch import UnknownMessage, read_message, type_of
from events.export import MODELS, files
from events.request import InvalidRequest, JobRequest, parse_job_request
from events.sample_messages import FULL, INCREMENTAL
from flowforge.sources.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "events" / "samples"
# In queues, dead letters and the outbox as they are; other facts go in events of the bus, which name their type.
UNTYPED = [
    commands.IngestTable,
    commands.IngestSlice,
    commands.ReleaseQuarantine,
    commands.MaintainTable,
    facts.BronzeLanded,
    facts.SilverRefined,
]
MESSAGES = [model for model in MODELS if model is not JobRequest]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_should_parse_the_sample_of_the_same_name(model):
    text = (SAMPLES / f"{model.__name__}.json").read_text()
    parsed = parse_job_request(text) if model is JobRequest else model.model_validate_json(text)
    assert parsed.model_dump(exclude_unset=True)


def test_should_keep_samples_and_schemas_up_to_date():
    stale = [str(path) for path, text in files() if not path.exists() or path.read_text() != text]
    assert stale == [], "run python -m events.export"


def test_should_keep_no_sample_that_nothing_makes():
    made = {path.name for path, _ in files()}
    assert {path.name for path in SAMPLES.iterdir()} <= made


def test_should_offer_the_documents_of_the_readme_as_examples():
    assert json.loads((ROOT / "examples" / "request-customers.json").read_text()) == FULL
    assert json.loads((ROOT / "examples" / "request-customers-incremental.json").read_text()) == INCREMENTAL


def test_should_know_the_same_kinds_of_source_in_requests_as_behind_the_seam():
    assert set(KINDS) == {"file", *get_args(DatabaseKind)}


def test_should_not_write_the_kind_that_earlier_versions_know_alone():
    document = json.loads((SAMPLES / "IngestTable.json").read_text())
    assert "kind" not in document["connection"]
    read = commands.IngestTable.model_validate(document)
    assert read.connection.kind == "sql-server"
    assert read == commands.IngestTable.model_validate_json(read.model_dump_json())


@pytest.mark.parametrize("model", MESSAGES, ids=lambda model: model.__name__)
def test_should_ignore_what_a_newer_version_adds_to_a_message(model):
    document = json.loads((SAMPLES / f"{model.__name__}.json").read_text()) | {"added_later": 1, "schema_version": 2}
    assert model.model_validate(document)


@pytest.mark.parametrize("model", MESSAGES, ids=lambda model: model.__name__)
def test_should_name_the_type_of_every_message(model):
    document = json.loads((SAMPLES / f"{model.__name__}.json").read_text())
    assert document["type"] == type_of(document) == model.__name__
    assert isinstance(read_message(document, *MESSAGES), model)


@pytest.mark.parametrize("model", UNTYPED, ids=lambda model: model.__name__)
def test_should_know_a_message_of_the_version_before_by_its_fields(model):
    document = json.loads((SAMPLES / f"{model.__name__}.json").read_text())
    del document["type"]
    assert isinstance(read_message(document, *MESSAGES), model)


@pytest.mark.parametrize(
    "document", [{"type": "DropTable"}, {"type": "IngestSlice"}, {"type": None}, {"a": 1}, {}, [], 1]
)
def test_should_refuse_what_is_no_message_that_is_taken(document):
    with pytest.raises(UnknownMessage, match="IngestTable"):
        read_message(document, commands.IngestTable)


@pytest.mark.parametrize("model", [commands.IngestTable, facts.BronzeLanded])
def test_should_not_change_after_it_is_made(model):
    message = model.model_validate_json((SAMPLES / f"{model.__name__}.json").read_text())
    with pytest.raises(ValueError, match="frozen"):
        message.run_id = "another"


def changed(path: str, value: object) -> dict:
    document = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    target = document
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("source_type", "file", 'expected "database"'),
        ("source_type", "stream", "database"),
        ("source_config.type", "oracle", "sql-server"),
        ("source_config.connection.port", 70000, "65535"),
        ("source_config.connection.host", "db;Trusted_Connection=yes", "host"),
        ("source_config.connection.pasword", "x", "unknown field; did you mean password?"),
        ("source_config.databaseConfig.tableName", "a.b.c", "schema.table"),
        ("source_config.databaseConfig.tableName", "[open", "bracket"),
        ("source_config.databaseConfig.tableName", "", "schema.table"),
        ("source_config.databaseConfig.isIncremental", True, "deltaColumn"),
        ("source_config.databaseConfig.deltaColumn", ["at", "at"], "different"),
        ("source_config.databaseConfig.deltaColumn", [], "one column name"),
        ("source_config.databaseConfig.query", "SELECT 1", "not both"),
        ("source_config.databaseConfig.tables", [], "at least 1"),
        ("destination_config.bronzeConfig.storageFormat", "csv", "parquet"),
        ("destination_config.bronzeConfig.compression", "lzo", "snappy"),
        ("destination_config.silverConfig", {"mergeStrategy": "scd2", "deletes": "hard"}, "keeps history"),
        ("destination_config.silverConfig", {"mergeStrategy": "append", "deletes": "soft"}, "no deletes to choose"),
        ("destination_config.silverConfig.deletes", {"detect": "keys"}, "needs isIncremental true"),
        ("destination_config.silverConfig.deletes", {"detect": "log"}, "keys"),
        ("destination_config.silverConfig.deletes", {"every": "1 day"}, "missing"),
        ("destination_config.silverConfig.deletes", {"detect": "keys", "every": "daily"}, "such as 1 day"),
        ("destination_config.silverConfig.deletes", {"detect": "keys", "every": "5 minutes"}, "10 minutes or more"),
        ("destination_config.silverConfig.deletes", {"detect": "keys", "maxDeleteShare": 0}, "greater than 0"),
        ("destination_config.silverConfig.deletes", {"detect": "keys", "mode": "ignore"}, "hard"),
        (
            "destination_config.silverConfig",
            {"mergeStrategy": "scd2", "deletes": {"detect": "keys", "mode": "hard"}},
            "keeps history",
        ),
        (
            "destination_config",
            {"bronzeConfig": {"loadStrategy": "full_refresh"}, "silverConfig": {"deletes": {"detect": "keys"}}},
            "sees what is gone",
        ),
        ("destination_config.bronzeConfig.loadStrategy", "incremental", "isIncremental"),
        ("destination_config.silverConfig.primaryKey", ["id", "id"], "different"),
        ("destination_config.silverConfig.mergeStrategy", "magic", "merge"),
        ("destination_config.goldConfig.models", [{"tableName": "x"}], "required"),
        ("batch_id", "a/b", "not a path"),
        ("source_config.connection.hots", "x", "unknown field; did you mean host?"),
        ("source_config.databaseConfig", {"tables": [{"tableNme": "a"}]}, "unknown field; did you mean tableName?"),
        ("destination_config.silverConfig.primarykey", "id", "unknown field; did you mean primaryKey?"),
        ("source_config.deltaColumn", "at", "unknown field; it is a field of source_config.databaseConfig"),
        (
            "destination_config.silverConfig",
            {"qualityRules": [{"rule": "not_null", "colum": "id"}]},
            "unknown field; did you mean column?",
        ),
        ("silverConfig", {}, "unknown field; it is a field of destination_config"),
        (
            "source_config.databaseConfig.protect",
            {"born": "bucket", "ssn": "sha256"},
            "expected drop, null, hmac, partial(4), bucket or bucket(100) for ssn",
        ),
    ],
)
def test_should_say_what_was_expected_where(path, value, problem):
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(changed(path, value))
    assert any(problem in m["problem"] for m in refused.value.mistakes), refused.value.mistakes
    assert "FlowForge2024!" not in str(refused.value)


def test_should_name_the_entry_of_a_list_that_is_wrong():
    document = changed("source_config.databaseConfig", {"tables": [{"tableName": "a"}, {"tableNme": "b"}, "a.b.c"]})
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(document)
    fields = [m["field"] for m in refused.value.mistakes]
    assert "source_config.databaseConfig.tables.1.tableNme" in fields


def test_should_not_let_one_mistake_hide_another():
    document = changed("source_config.connection", {"port": 0, "password": "s3cret", "username": "sa", "hots": "x"})
    document["source_config"]["databaseConfig"] = {"tableName": "a.b.c", "isIncremental": True}
    document["destination_config"]["bronzeConfig"] |= {"loadStrategy": "full_refresh", "compression": "lzo"}
    document["source_type"] = "file"
    del document["job_id"]
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(document)
    found = [(m["field"], m["problem"]) for m in refused.value.mistakes]
    for field, problem in [
        ("job_id", "required"),
        ("source_type", "names a database"),
        ("source_config.connection.port", "greater"),
        ("source_config.connection.hots", "unknown field"),
        ("source_config.connection", "missing host, database"),
        ("source_config.databaseConfig.tableName", "schema.table"),
        ("source_config.databaseConfig", "needs deltaColumn"),
        ("source_config.databaseConfig", "contradicts"),
        ("destination_config.bronzeConfig.compression", "snappy"),
    ]:
        assert any(f == field and problem in p for f, p in found), (field, found)
    assert "s3cret" not in str(refused.value)


def test_should_fill_in_the_workflow_of_the_address():
    document = copy.deepcopy(FULL)
    del document["workflow_id"]
    assert parse_job_request(document, "wf_9").workflow_id == "wf_9"


@pytest.mark.parametrize("document", [[], [{}], None, 1, True, "[]", b"1"])
def test_should_refuse_a_request_that_is_no_object(document):
    with pytest.raises(InvalidRequest) as caught:
        parse_job_request(document)
    assert caught.value.mistakes == [{"field": "(document)", "problem": "expected a JSON object"}]
