"""What is kept and told of large or wordy tables: it fits where it goes, or is refused before anything is read."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelopes import http, sqs
from events.facts import StepFailed
from events.sample_messages import FULL
from events.targets import SourceTable
from flowforge.aws import items
from flowforge.aws.bus import announce
from flowforge.aws.compact import pack, shorten, unpack
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import TooLarge
from flowforge.domain.given import given as present
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.slice_plan import KeyRange, SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, claims, corrections, runs, slice_set, table
from functions.submit_job.handler import handler as submit
from functions.track_run.handler import handler as track
from tests.helpers.batches import INTERVAL, claim
from tests.helpers.commands import command

CYRILLIC = [chr(c) for c in range(0x410, 0x450)]
HAN = [chr(c) for c in range(0x4E00, 0x9F00)]


def keys(rng: random.Random, letters: list[str], count: int) -> list[str]:
    return sorted("".join(rng.choices(letters, k=450)) for _ in range(count))


def sliced(name: str, run: str, bounds: list[str]):
    wanted = command(name, run)
    key = str(SourceKey.of(wanted.connection, "dbo", name, wanted.bronze.table))
    columns = [SourceColumn(name="код", sql_type="nvarchar(450)")]
    ends = [None, *([bound] for bound in bounds), None]
    ranges = [KeyRange(low=low, high=high) for low, high in pairwise(ends)]
    plan = SlicePlan(schema_name="dbo", name=name, columns=columns, key=columns, primary_key=["код"], ranges=ranges)
    return claims.claim(table.read_state(key), wanted, f"dbo.{name}", INTERVAL, {}, [], plan)


def test_should_keep_a_batch_of_256_slices_with_long_keys_from_claim_to_manifest(aws, unique):
    batch = sliced(unique("t"), unique("run"), keys(random.Random(7), CYRILLIC, 255))
    assert batch_records.find_batch(batch.source_key, batch.generation, batch.seq) == batch
    objects = []
    for n in range(256):
        key = f"bronze/{batch.command.bronze.table}/{'l' * 190}/part-{n:05d}.parquet"
        found = BronzeObject(key=key, etag=f'"{random.Random(n).randbytes(16).hex()}-4"', rows=3, bytes=9)
        objects.append(found)
        slice_set.finish_slice(batch, n, found, "2025-01-01 00:00:00.000")
    assert len(slice_set.finished_slices(batch)) == 256
    manifest = Manifest(bucket="lake", objects=objects, rows=768, bytes=9, columns=present(batch.slices).columns)
    batches.land(batch, manifest)
    assert present(batch_records.find_batch(batch.source_key, batch.generation, batch.seq)).manifest == manifest


def test_should_plan_fewer_slices_where_their_keys_do_not_fit_the_record(aws, loads, sliced_reads):
    load = loads(rows="INSERT INTO {t} VALUES (1, '2024-01-01')")
    name = f"{load.name}_w"
    load.execute(f"CREATE TABLE {name} (code nvarchar(450) PRIMARY KEY, v int)")
    found = keys(random.Random(7), HAN, 520)
    for start in range(0, len(found), 65):
        load.execute(f"INSERT INTO {name} VALUES " + ", ".join(f"(N'{key}', 1)" for key in found[start : start + 65]))
    wanted = load.command("wide", None, table_name=name)
    ingest(wanted)
    batch = batch_records.batch_of_run(
        str(SourceKey.of(wanted.connection, "dbo", name, wanted.bronze.table)), wanted.run_id
    )
    ranges = present(present(batch).slices).ranges
    assert 2 <= len(ranges) < 256
    assert (ranges[0].low, ranges[-1].high) == (None, None)
    assert all(one.high == following.low for one, following in pairwise(ranges))
    assert len(aws.messages("SliceQueue")) == len(ranges)
    assert f"read in {len(ranges)} slices" in present(batch).interval.promise


@pytest.fixture
def sliced_reads(aws, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", "2")
    monkeypatch.setenv("FLOWFORGE_SLICE_QUEUE_URL", aws.name("SliceQueue"))
    aws.messages("SliceQueue")


def test_should_refuse_before_the_read_what_its_record_has_no_room_for(aws, unique):
    wanted = command(unique("t"), unique("run"))
    text = "".join(random.Random(3).choices(HAN, k=250_000))  # cannot be compressed to what fits
    wanted = wanted.model_copy(update={"source": SourceTable(query=f"SELECT '{text}' AS x")})
    state = table.read_state("k")
    with pytest.raises(TooLarge, match=r"dbo\.q: what is kept of its batch would take") as caught:
        claims.claim(state, wanted, "dbo.q", INTERVAL, {}, [])
    assert "view" in caught.value.remedy
    assert table.read_state("k").active is None


def test_should_not_take_what_is_too_large_for_somebody_elses_write(aws, unique):
    batch = claim(unique("t"), unique("run"))
    with pytest.raises(TooLarge):  # and not Wait, which would be tried for ever
        corrections.reset_watermarks(table.read_state(batch.source_key), "x" * 500_000)
    key = {"pk": batch.source_key, "sk": "AUDIT#x"}
    with pytest.raises(TooLarge):
        items.update(settings().watermarks_table, key, "SET reason = :text", {":text": "x" * 500_000})


def test_should_read_a_record_of_the_version_before(aws, unique):
    batch = claim(unique("t"), unique("run"))
    plain = json.dumps(json.loads(batch.command.model_dump_json()))
    items.update(settings().watermarks_table, batch_records.key_of(batch), "SET command = :text", {":text": plain})
    assert batch_records.find_batch(batch.source_key, batch.generation, batch.seq) == batch


def test_should_show_a_run_of_many_tables_with_long_names(aws, unique):
    run, long = unique("run"), "ж" * 120
    tables = [(f"bronze_{n}", f"[{long}].[{long}{n}]") for n in range(1_000)]
    runs.open_run(run, "wf", "job", "b", "http", tables)
    shown = runs.read_run(run)["tables"]
    assert [(one["table"], one["source_table"]) for one in shown] == tables


def test_should_tell_a_failure_however_long_its_cause(aws, context, unique):
    run, name = unique("run"), unique("t")
    runs.open_run(run, "wf", "job", "b", "http", [(name, "dbo.t")])
    aws.messages("TrackQueue")
    cause = "начало " + "слово " * 100_000
    announce(*(StepFailed(run_id=run, bronze_table=name, step="ingest", error="X", cause=cause) for _ in range(3)))
    for message in aws.messages("TrackQueue"):
        assert track(sqs(message["body"]), context) in ({"batchItemFailures": []}, {"status": "done"})
    (told,) = runs.read_run(run)["tables"]
    assert told["error"]["cause"].startswith("начало слово") and told["error"]["cause"].endswith("…")


def test_should_refuse_a_request_whose_message_no_queue_takes(aws, context):
    document = json.loads(json.dumps(FULL))
    query = {"query": "SELECT '" + "ж" * 150_000 + "' AS x"}
    document["source_config"]["databaseConfig"] = query
    document["destination_config"] = {"bronzeConfig": {"tableName": "wordy"}}
    answer = submit(
        http("POST", f"/api/workflows/{document['workflow_id']}/run", "/api/workflows/{id}/run", document), context
    )
    assert answer["statusCode"] == 400
    assert "wordy: its query, rules and models take" in json.loads(answer["body"])["mistakes"][0]["problem"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=3000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=10,
)


@given(json_values)
def test_should_keep_any_document_as_it_is(document):
    assert unpack(pack(document)) == document


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=500) | st.lists(st.integers(), max_size=200), max_size=6))
def test_should_shorten_only_what_does_not_fit(document):
    cut = shorten(document, 900)
    assert (
        len(json.dumps(cut, ensure_ascii=False, separators=(",", ":")).encode()) <= 900 + 100
    )  # and the names of what was cut
    assert all(cut[name] == value for name, value in document.items() if name not in cut.get("shortened", []))
