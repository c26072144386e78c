"""Which files a table has taken, as workers write it that die, come late, or give their batch up."""

import pytest

from flowforge.aws import items
from flowforge.domain.batch import Batch
from flowforge.domain.errors import UnreadableRecord, Wait
from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.operations.folding import NEWEST_KEPT, fold_table
from flowforge.runtime.settings import settings
from flowforge.state import batches, claims, corrections, file_ledger
from flowforge.state.batch_records import key_of
from flowforge.state.table import read_state
from tests.helpers.batches import claim, manifest
from tests.helpers.commands import command

pytestmark = pytest.mark.usefixtures("aws")
FILES = Interval()


def version(key: str, etag: str) -> FileVersion:
    return FileVersion(bucket="landing", key=key, etag=etag, size=5)


def write(batch: Batch, *files: FileVersion) -> None:
    file_ledger.write_entries(batch.source_key, [file_ledger.entry_of(batch, file, 3) for file in files])


def load(name: str, run: str, *files: FileVersion) -> Batch:
    """A batch of files from claim to commit."""
    batch = claim(name, run, FILES, run)
    write(batch, *files)
    batches.commit(batches.land(batch, manifest(batch)))
    return batch


def remove_record(batch: Batch) -> None:
    items.delete(settings().watermarks_table, key_of(batch))


def taken(batch: Batch) -> dict[str, str]:
    return {entry.file.key: entry.file.etag for entry in file_ledger.taken_files(read_state(batch.source_key))}


def test_should_count_the_files_of_committed_batches_the_newest_version_of_each(unique):
    name = unique("t")
    load(name, "run_1", *(version(f"{number}.csv", "1") for number in range(60)))
    batch = load(name, "run_2", version("7.csv", "2"))
    assert taken(batch) == {f"{number}.csv": "1" for number in range(60)} | {"7.csv": "2"}
    assert [entry.run_id for entry in file_ledger.entries(batch.source_key) if entry.file.key == "7.csv"] == [
        "run_1",
        "run_2",
    ]


def test_should_say_nothing_while_a_batch_is_under_way(unique):
    batch = claim(unique("t"), "run_1", FILES)
    write(batch, version("a", "1"))
    with pytest.raises(Wait):
        taken(batch)


def test_should_count_a_file_without_rows(unique):
    batch = claim(unique("t"), "run_1", FILES)
    write(batch, version("header only", "1"))
    batches.close_empty(batch)
    assert taken(batch) == {"header only": "1"}


def test_should_not_count_what_was_given_up_though_its_worker_comes_late(unique):
    name = unique("t")
    first = load(name, "run_1", version("a", "1"))
    lost = claim(name, "run_2", FILES, "run_2")
    write(lost, version("a", "2"), version("b", "1"))
    batches.abandon(lost)
    assert taken(first) == {"a": "1"}
    last = load(name, "run_3", version("b", "1"))
    write(lost, version("a", "2"), version("b", "1"))  # by a worker that does not know yet
    assert taken(last) == {"a": "1", "b": "1"}


def test_should_count_no_entry_twice_where_another_worker_writes_it_again(unique):
    batch = claim(unique("t"), "run_1", FILES)
    write(batch, version("a", "1"))
    write(batch, version("a", "1"))
    batches.commit(batches.land(batch, manifest(batch)))
    assert taken(batch) == {"a": "1"}
    write(batch, version("a", "1"))  # late: unsettled again, and found again
    assert taken(batch) == {"a": "1"}
    assert len(list(file_ledger.entries(batch.source_key))) == 1


def test_should_load_all_files_again_after_a_reset(unique):
    batch = load(unique("t"), "run_1", version("a", "1"))
    corrections.reset_watermarks(read_state(batch.source_key), "a new start")
    assert taken(batch) == {}
    again = load(batch.command.source.title, "run_2", version("a", "1"))
    assert taken(again) == {"a": "1"}


def test_should_know_a_settled_file_once_the_record_of_its_batch_is_gone(unique):
    name = unique("t")
    batch = load(name, "run_1", version("a", "1"))
    assert taken(batch) == {"a": "1"}
    remove_record(batch)
    assert taken(batch) == {"a": "1"}


def test_should_stop_where_it_is_not_known_what_became_of_a_batch(unique):
    batch = load(unique("t"), "run_1", version("a", "1"))
    remove_record(batch)
    with pytest.raises(UnreadableRecord, match="whose record is gone"):
        taken(batch)


def test_should_keep_the_record_of_an_old_batch_until_it_is_settled_what_became_of_its_files(unique):
    name = unique("t")
    key = f"s3://landing/{name}.daily>bronze_{name}"
    for number in range(NEWEST_KEPT + 3):
        batch = claims.claim(read_state(key), command(name, f"run_{number}", str(number)), name, FILES, {}, [])
        write(batch, version(f"{number}.csv", "1"))
        batches.commit(batches.land(batch, manifest(batch)))
        batches.mark(batch, refined=True, quarantined=0, published=True)
        items.update(settings().watermarks_table, key_of(batch), "SET updated_at = :then", {":then": 1.0})
    assert fold_table(key) == 0
    assert len(file_ledger.taken_versions(read_state(key))) == NEWEST_KEPT + 3
    assert fold_table(key) == 3
    assert len(file_ledger.taken_versions(read_state(key))) == NEWEST_KEPT + 3
