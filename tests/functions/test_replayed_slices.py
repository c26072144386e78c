"""A slice's message that a person puts back after its batch was given up: the run goes on, or ends with the reason."""

import pytest

from events.commands import IngestSlice
from flowforge.bronze.ingest import ingest
from flowforge.bronze.ingest_slice import ingest_slice
from flowforge.domain.errors import Fatal, UnknownTable
from flowforge.operations.watermarks import commit_landed
from flowforge.state import corrections, table
from tests.helpers.loads import MANY, run_slices


def given_up(load) -> list[IngestSlice]:
    """The slices of a batch whose table was dropped; the first that was handled gave it up."""
    assert ingest(load.command("one")).facts == []
    load.execute("DROP TABLE {t}")
    first, *others = [IngestSlice.model_validate(m["body"]) for m in load.aws.messages("SliceQueue")]
    with pytest.raises(UnknownTable):
        ingest_slice(first)
    assert load.states() == ["voided"]
    return [first, *others]


def put_back(command: IngestSlice) -> IngestSlice:
    return command.model_copy(update={"replayed": True})


def test_should_load_the_table_again_for_its_run(sliced, loads):
    load = loads(rows=MANY)
    first, *others = given_up(load)
    load.execute("CREATE TABLE {t} (id int PRIMARY KEY, at datetime2(3))", MANY)
    for command in others:  # as SQS delivers them, with nobody's hand in it
        assert ingest_slice(command).facts == []
    assert load.submitted_again() == []
    assert ingest_slice(put_back(first)).facts == []
    ingest_slice(put_back(others[0]))
    again, once_more = load.submitted_again()
    assert again.run_id == first.run_id
    assert ingest(again).facts == []
    (fact,) = run_slices(load)
    commit_landed(fact)
    assert (fact.run_id, fact.records, load.states()) == (first.run_id, 9, ["voided", "committed"])
    assert ingest(once_more).facts == []
    assert load.states() == ["voided", "committed"]


def test_should_say_that_a_watermark_set_by_hand_has_voided_the_batch(sliced, loads):
    load = loads(rows=MANY)
    assert ingest(load.command("one")).facts == []
    first, *_ = [IngestSlice.model_validate(m["body"]) for m in load.aws.messages("SliceQueue")]
    corrections.reset_watermarks(table.read_state(load.key), "wrong")
    assert ingest_slice(put_back(first)).facts == []
    (again,) = load.submitted_again()
    with pytest.raises(Fatal, match="voided by a watermark set or reset by hand"):
        ingest(again)
