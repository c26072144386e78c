"""A batch from claim to commit, as two workers see it that do not know of each other."""

import threading
import time

import pytest

from events.targets import ConnectionReference
from flowforge.aws import items
from flowforge.domain.batch import Batch
from flowforge.domain.errors import ConflictingTarget, Fatal, NotFound, Wait
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, claims, corrections, leases, table
from tests.helpers.batches import INTERVAL, claim, manifest
from tests.helpers.commands import command

pytestmark = pytest.mark.usefixtures("aws")


def expire(batch: Batch) -> Batch:
    """Plays the death of a worker: its lease runs out without a heartbeat."""
    key = {"pk": batch.source_key, "sk": f"BATCH#{batch.generation:06d}#{batch.seq:010d}"}
    items.update(settings().watermarks_table, key, "SET lease_until = :past", {":past": time.time() - 1})
    return given(batch_records.find_batch(batch.source_key, batch.generation, batch.seq))


def test_should_move_the_watermark_only_when_a_landed_batch_is_committed(unique):
    name = unique("t")
    batch = claim(name, "run_1")
    assert table.read_state(batch.source_key).watermarks == {}
    landed = batches.land(batch, manifest(batch))
    assert table.read_state(batch.source_key).watermarks == {}
    assert batches.commit(landed) == (None, INTERVAL.high)
    state = table.read_state(batch.source_key)
    assert state.watermarks["modified"].value == INTERVAL.high
    assert state.watermarks["modified"].identity == {"object_id": 7}
    assert state.active is None


def test_should_leave_a_committed_batch_alone_when_its_event_comes_again(unique):
    batch = claim(unique("t"), "run_1")
    landed = batches.land(batch, manifest(batch))
    batches.commit(landed)
    version = table.read_state(batch.source_key).version
    again = batch_records.find_batch(batch.source_key, batch.generation, batch.seq)
    assert batches.commit(given(again)) == (None, INTERVAL.high)
    assert table.read_state(batch.source_key).version == version


def test_should_find_the_batch_of_a_redelivered_message(unique):
    batch = claim(unique("t"), "run_1")
    assert batch_records.batch_of_run(batch.source_key, "run_1") == batch
    assert batch_records.batch_of_run(batch.source_key, "run_2") is None


def test_should_turn_a_second_worker_away_while_the_claim_is_live(unique):
    batch = claim(unique("t"), "run_1")
    with pytest.raises(Wait):
        leases.take_over(batch)


def test_should_fence_off_the_worker_whose_claim_was_taken_over(unique):
    batch = claim(unique("t"), "run_1")
    taken = leases.take_over(expire(batch))
    assert (taken.seq, taken.interval, taken.label) == (batch.seq, batch.interval, batch.label)
    with pytest.raises(Wait):
        batches.land(batch, manifest(batch))
    assert not leases.renew(batch)
    assert batches.land(taken, manifest(taken)).state == "landed"


def test_should_let_one_of_many_concurrent_claims_win(unique):
    name, won, lost = unique("t"), [], []

    def one(n: int) -> None:
        try:
            won.append(claim(name, f"run_{n}"))
        except Wait:
            lost.append(n)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 7


def test_should_give_a_label_that_was_used_before_the_sequence_number(unique):
    name = unique("t")
    first = claim(name, "run_1")
    batches.commit(batches.land(first, manifest(first)))
    second = claim(name, "run_2")
    assert (first.label, second.label) == ("nightly", "nightly~2")


def test_should_refuse_a_silver_table_that_another_source_fills(unique):
    name = unique("t")
    first = claim(name, "run_1")
    other = command(name, "run_2").model_copy(
        update={"connection": ConnectionReference(host="elsewhere", database="Bank", secret_id="flowforge/x")}
    )
    key = str(SourceKey.of(other.connection, "dbo", name, other.bronze.table))
    with pytest.raises(ConflictingTarget, match="silver table") as refused:
        claims.claim(table.read_state(key), other, f"dbo.{name}", INTERVAL, {}, [])
    assert first.source_key in str(refused.value)
    assert "silverConfig.tableName" in refused.value.remedy


def test_should_keep_full_and_incremental_loads_of_a_table_in_one_order(unique):
    name = unique("t")
    full = claim(name, "run_1", Interval())
    batches.commit(batches.land(full, manifest(full)))
    incremental = claim(name, "run_2")
    assert incremental.seq == full.seq + 1
    assert table.read_state(full.source_key).watermarks == {}


def test_should_not_move_the_watermark_for_an_empty_interval(unique):
    batch = claim(unique("t"), "run_1")
    batches.close_empty(batch)
    state = table.read_state(batch.source_key)
    assert (state.watermarks, state.active) == ({}, None)
    assert given(batch_records.find_batch(batch.source_key, 1, batch.seq)).state == "empty"


def test_should_keep_the_newest_batches_rows_with_the_table_and_count_each_once(unique):
    name = unique("t")
    batch = claim(name, "run_1")
    landed = batches.land(batch, manifest(batch))
    batches.commit(landed)
    batches.commit(landed)  # its event comes again
    for number in range(2, table.RECENT_BATCHES + 3):
        batches.close_empty(claim(name, f"run_{number}"))
    recent = table.read_state(batch.source_key).recent
    assert recent.rows == [0] * table.RECENT_BATCHES
    full = claim(name, "run_last", Interval())
    batches.commit(batches.land(full, manifest(full)))
    recent = table.read_state(batch.source_key).recent
    assert (recent.run_id, recent.rows) == ("run_last", [0] * (table.RECENT_BATCHES - 1) + [3])
    assert recent.at


def test_should_void_the_claim_under_way_when_a_watermark_is_set_by_hand(unique):
    batch = claim(unique("t"), "run_1")
    landed = batches.land(batch, manifest(batch))
    state = table.read_state(batch.source_key)
    corrections.set_watermark(state, "modified", "2024-06-01", "replay from June")
    voided = batch_records.find_batch(batch.source_key, batch.generation, batch.seq)
    assert given(voided).state == "voided"
    assert batches.commit(given(voided)) == (None, None)
    with pytest.raises(Wait):
        batches.commit(landed)
    after = table.read_state(batch.source_key)
    assert (after.generation, after.watermarks["modified"].value) == (2, "2024-06-01")
    entry = corrections.audit(batch.source_key)[0]
    assert (entry["action"], entry["after"], entry["reason"]) == ("set", "2024-06-01", "replay from June")


def test_should_find_a_table_by_each_of_its_names(unique):
    name = unique("t")
    batch = claim(name, "run_1")
    for spelled in (f"bronze_{name}", f"dbo.{name}", name.upper(), batch.source_key):
        assert table.resolve(spelled).source_key == batch.source_key
    with pytest.raises(NotFound, match="no watermark"):
        table.resolve("nothing_of_the_kind")


def test_should_list_batches_that_stand_still_until_they_are_published(unique):
    batch = claim(unique("t"), "run_1")
    landed = batches.land(batch, manifest(batch))
    assert batch_records.key_of(landed) in batch_records.open_batches(-60)
    batches.mark(landed, published=True)
    assert batch_records.key_of(batch) not in batch_records.open_batches(-60)


def test_should_free_the_table_when_a_claim_is_abandoned_and_claim_anew_on_replay(unique):
    name = unique("t")
    batch = claim(name, "run_1")
    batches.abandon(batch)
    state = table.read_state(batch.source_key)
    assert (state.active, state.watermarks) == (None, {})
    assert batch_records.batch_of_run(batch.source_key, "run_1") is None
    again = claim(name, "run_1")
    assert (again.seq, again.label) == (2, "nightly~2")


def test_should_not_abandon_a_claim_that_another_worker_has_taken_over(unique):
    batch = claim(unique("t"), "run_1")
    taken = leases.take_over(expire(batch))
    batches.abandon(batch)
    assert table.read_state(batch.source_key).active == batch.seq
    assert batches.land(taken, manifest(taken)).state == "landed"


def test_should_let_the_next_attempt_begin_at_once_when_one_has_failed(unique):
    batch = claim(unique("t"), "run_1")
    leases.release(batch)
    again = leases.take_over(given(batch_records.find_batch(batch.source_key, batch.generation, batch.seq)))
    assert again.attempts == 2


def test_should_not_cost_more_workers_than_a_message_may(unique):
    batch = claim(unique("t"), "run_1")
    for attempts in (2, 3):
        batch = leases.take_over(expire(batch))
        assert batch.attempts == attempts
    with pytest.raises(Fatal, match="3 workers have died or failed") as refused:
        leases.take_over(expire(batch))
    assert refused.value.remedy


def test_should_keep_a_batch_with_a_failed_slice_for_a_replay_until_somebody_else_needs_the_table(unique):
    batch = claim(unique("t"), "run_1")
    leases.fail(batch)
    kept = batch_records.find_batch(batch.source_key, batch.generation, batch.seq)
    assert (given(kept).state, given(kept).failed, given(kept).lease_until) == ("claimed", True, 0)
    assert batch_records.key_of(batch) not in batch_records.open_batches(-60)
    batches.abandon(given(kept))
    assert table.read_state(batch.source_key).active is None


def test_should_count_attempts_anew_when_a_person_has_replayed_the_message(aws, unique, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "1")
    batch = claim(unique("t"), unique("run"))
    leases.release(batch)
    with pytest.raises(Fatal):
        leases.take_over(given(batch_records.find_batch(batch.source_key, 1, 1)))
    taken = leases.take_over(given(batch_records.find_batch(batch.source_key, 1, 1)), replayed=True)
    assert (taken.seq, taken.attempts, taken.interval) == (batch.seq, 1, batch.interval)
