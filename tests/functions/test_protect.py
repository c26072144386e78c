"""Personal data is protected before the first byte of it is written: no object, message, record or log has a value of it."""

import io
import json
import logging
import secrets
from typing import Any

import pyarrow.parquet as pq
import pytest

from events.envelopes import http
from events.redaction import redacted
from events.request import InvalidRequest, JobRequest, parse_job_request
from flowforge.aws.clients import client
from flowforge.bronze.announcements import landed_fact
from flowforge.domain.errors import NotFound, ScopeChanged, SecretRefused, UnsupportedSource
from flowforge.domain.given import given
from flowforge.lineage.step_columns import bronze_columns
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, corrections, table
from functions.describe_table.handler import handler as describe
from tests.helpers.loads import Loads, landed, run_slices
from tests.helpers.protection import keep_key, of_nobody_else, stored
from tests.helpers.standin import PASSWORD


@pytest.fixture
def key() -> str:
    return keep_key()


def with_people(load: Loads, ssn: str = "078-05-1120", iban: str = "DE89370400440532013000") -> Loads:
    load.execute(
        "ALTER TABLE {t} ADD ssn char(12), iban varchar(34), born date NOT NULL DEFAULT '1987-06-05', note nvarchar(40)",
        f"UPDATE {{t}} SET ssn = '{ssn}', iban = '{iban}', note = N'called {ssn}'",
    )
    return load


def test_should_write_no_value_of_a_protected_column_anywhere(loads, key, caplog):
    ssn, iban = of_nobody_else(), f"{of_nobody_else()}3000"
    load = with_people(loads(), ssn, iban)
    protect = {"SSN": "hmac", "iban": "partial(4)", "born": "bucket", "note": "drop"}
    with caplog.at_level(logging.DEBUG, logger="flowforge"):
        (fact,) = load.load("a", protect=protect, protection_key=key)
    rows = landed(fact)
    assert [list(row)[:5] for row in rows] == [["id", "at", "ssn", "iban", "born"]] * 3
    assert {(row["iban"], str(row["born"])) for row in rows} == {("*" * 12 + "3000", "1987-01-01")}
    assert len({row["ssn"] for row in rows}) == 1 and len(rows[0]["ssn"]) == 64
    everything = stored() + caplog.text.encode() + fact.model_dump_json().encode()
    for value in (ssn, iban, iban[:-4]):
        assert value.encode() not in everything
    secret = json.loads(client("secretsmanager").get_secret_value(SecretId=key)["SecretString"])["hmacKey"]
    assert secret.encode() not in everything


def test_should_give_equal_values_equal_hashes_in_every_table_by_one_key(loads, key):
    ssn = of_nobody_else()
    one, other = with_people(loads(), ssn), loads()
    other.execute("ALTER TABLE {t} ADD holder nvarchar(20)", f"UPDATE {{t}} SET holder = N'{ssn}'")
    (first,) = one.load("a", protect={"ssn": "hmac"}, protection_key=key)
    (second,) = other.load("a", protect={"holder": "hmac"}, protection_key=key)
    assert landed(first)[0]["ssn"] == landed(second)[0]["holder"]
    (third,) = with_people(loads(), ssn).load("a", protect={"ssn": "hmac"}, protection_key=keep_key())
    assert landed(first)[0]["ssn"] != landed(third)[0]["ssn"]


def test_should_tell_how_a_column_is_protected_in_footer_record_and_lineage(loads, key):
    load = with_people(loads())
    load.load("a", protect={"ssn": "hmac", "iban": "null"}, protection_key=key)
    (batch,) = batch_records.history(load.key)
    columns = {column.name: column for column in given(batch.manifest).columns}
    hashed = given(columns["ssn"].protection)
    assert (columns["ssn"].type, columns["ssn"].sql_type, columns["iban"].nullable) == ("text", "char(12)", True)
    assert (hashed.secret, len(hashed.key_id)) == (key, 16)
    scope = given(table.read_state(load.key).scope)
    assert scope.protected == {"ssn": f"hmac by key {hashed.key_id}", "iban": "null"}
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    assert rebuilt.state.scope == scope
    (origin,) = bronze_columns(given(batch.manifest).columns, "s").fields["ssn"]
    assert origin.role.masking
    body = client("s3").get_object(Bucket=settings().bucket, Key=landed_fact(batch).bronze_key)["Body"].read()
    notes = pq.read_schema(io.BytesIO(body)).field("ssn").metadata
    assert notes[b"protection"].decode() == f"hmac by key {hashed.key_id}"


def test_should_refuse_another_protection_above_a_watermark_until_the_table_is_read_anew(loads, key):
    load = with_people(loads())
    load.load("a", protect={"ssn": "hmac"}, protection_key=key)
    for other in ({}, {"ssn": "null"}, {"ssn": "hmac", "iban": "null"}):
        more = {"protection_key": key} if "hmac" in other.values() else {}
        with pytest.raises(ScopeChanged, match=r"databaseConfig\.protect: ") as caught:
            load.load("b", protect=other, **more)
        assert "full_refresh" in caught.value.remedy and "watermark reset" in caught.value.remedy
    with pytest.raises(ScopeChanged, match="ssn was hmac by key"):
        load.load("b", protect={"ssn": "hmac"}, protection_key=keep_key())  # another key: no row would join
    load.execute(
        "ALTER TABLE {t} ADD phone varchar(20)", "INSERT INTO {t} (id, at, phone) VALUES (40, '2024-06-01', '1')"
    )
    load.load("c", protect={"ssn": "hmac", "phone": "null"}, protection_key=key)  # a column that is new
    corrections.reset_watermarks(table.read_state(load.key), "another protection")
    load.load("d", protect={"ssn": "null"})
    (batch, *_) = batch_records.history(load.key)
    assert any("bronze, and earlier versions" in note for note in batch.interval.notes)


def test_should_protect_each_slice_and_stop_where_the_key_was_exchanged_meanwhile(loads, key, sliced):
    ssn = of_nobody_else()
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1008")
    load.execute("ALTER TABLE {t} ADD ssn char(12)", f"UPDATE {{t}} SET ssn = '{ssn}'")
    assert load.load("a", protect={"ssn": "hmac"}, protection_key=key) == []
    run_slices(load)
    (batch,) = batch_records.history(load.key)
    assert batch.state == "landed" and len(given(batch.manifest).objects) > 1
    assert ssn.encode() not in stored()
    other = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1008")
    other.execute("ALTER TABLE {t} ADD ssn char(12)", f"UPDATE {{t}} SET ssn = '{ssn}'")
    other.load("a", protect={"ssn": "hmac"}, protection_key=key)
    client("secretsmanager").put_secret_value(SecretId=key, SecretString=json.dumps({"hmacKey": secrets.token_hex(32)}))
    with pytest.raises(ScopeChanged, match="holds another key"):
        run_slices(other)


def test_should_use_no_other_secret_as_a_key(loads):
    load = with_people(loads())
    login = load.connection.secret_id
    for name, error, told in (
        ("elsewhere/key", SecretRefused, "expected the name of a secret under flowforge/"),
        ("flowforge/connections/x", SecretRefused, "used by connectionId alone"),
        ("flowforge/keys/none", NotFound, "cannot be read"),
        (login, NotFound, "is not a JSON object with"),
        (keep_key(json.dumps({"hmacKey": "00ff"})), NotFound, "no key of 32 bytes"),
        (keep_key(json.dumps({"hmacKey": "secret!"})), NotFound, "no key of 32 bytes"),
    ):
        with pytest.raises(error, match=told):
            load.load("a", protect={"ssn": "hmac"}, protection_key=name)
    assert load.states() == []


def test_should_protect_neither_key_nor_cursor_of_a_table(loads):
    load = with_people(loads())
    for name in ("id", "at"):
        with pytest.raises(UnsupportedSource, match="which is a key or a cursor"):
            load.load("a", protect={name: "null"})
    with pytest.raises(UnsupportedSource, match="which is a key or a cursor"):
        load.load("a", protect={"id": "drop"})


def test_should_hide_in_samples_what_a_load_protects(loads, key, server, context):
    load = with_people(loads())
    load.load("a", protect={"ssn": "hmac", "note": "drop"}, protection_key=key)
    login = {
        "host": "LOCALHOST",
        "port": server.port,
        "database": server.database,
        "username": "sa",
        "password": PASSWORD,
    }
    answer = describe(http("POST", "/api/database/schema", body={"connection": login, "table": load.name}), context)
    found = json.loads(answer["body"])
    told = {column["name"]: column.get("protected") for column in found["columns"]}
    assert told["note"] == "drop" and told["ssn"].startswith("hmac by key") and told["iban"] is None
    place = {name: n for n, name in enumerate(found["preview"]["columns"])}
    assert [(row[place["ssn"]], row[place["note"]]) for row in found["preview"]["rows"]] == [("(protected)",) * 2] * 3
    assert found["preview"]["rows"][0][place["iban"]]


def request_of(**config: object) -> dict[str, Any]:
    data = {"tableName": "t", **config}
    source = {"type": "sql-server", "connection": {"connectionId": "c"}, "databaseConfig": data}
    return {"workflow_id": "w", "job_id": "j", "source_type": "database", "source_config": source}


def test_should_keep_the_protection_of_a_request_in_its_copy_and_never_a_key():
    """A copy of a request may be submitted again: without its protection it would load what was to be protected."""
    document = request_of(
        protect={"password_hash": "partial(4)", "na]me": "hmac"}, protectionKey="flowforge/keys/people"
    )
    assert redacted(document, JobRequest, everywhere=True) == document
    parse_job_request(document)
    pasted = request_of(protect={"a": "hmac"}, protectionKey="00ff" * 16)
    assert "00ff" not in json.dumps(redacted(pasted, JobRequest, everywhere=True))
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(pasted)
    assert "not the key" in str(refused.value.mistakes) and "00ff" not in str(refused.value.mistakes)


@pytest.mark.parametrize("how", ["sha1", "partial(0)", "partial(100)", "partial", "bucket(0)", "HMAC", ""])
def test_should_refuse_a_protection_that_is_none(how):
    with pytest.raises(InvalidRequest, match="expected drop, null, hmac"):
        parse_job_request(request_of(protect={"a": how}))
