"""Keys that the source may take for one although silver cannot be sure are told by the run, with the remedy."""

from datetime import datetime
from typing import Any

from flowforge.domain.given import given
from flowforge.silver.near_keys import near_key_notes
from flowforge.silver.refine import refine
from tests.helpers.keyed import CI, codes, silver, source_of
from tests.helpers.lake import Lake, Source

DAYS = [datetime(2024, 1, day) for day in range(1, 6)]


def told(lake: Lake, source: Source, seq: int, *rows: tuple[Any, ...], **changes: Any) -> list[str]:
    """The notes of a batch once silver has it; they are the same when its message comes again."""
    batch = source.batch(seq, codes(*rows), **changes)
    refine(batch, lake.bucket)
    notes = near_key_notes(batch, lake.bucket)
    assert refine(batch, lake.bucket).already_applied
    assert near_key_notes(batch, lake.bucket) == notes
    return notes


def test_should_name_both_spellings_of_a_key_that_the_source_may_take_for_one(lake):
    source = source_of(lake)
    assert told(lake, source, 1, ("Straße", 1, 1), ("x", 1, 1), ("München", 1, 1)) == []
    (note,) = told(lake, source, 2, ("Strasse", 1, 2), ("X", 1, 2), ("MÜNCHEN", 1, 2))
    assert (
        "silver.customers: beside 1 of its keys stands another spelling that the source may take for the same key"
        in note
    )
    assert (
        "by its collation SQL_Latin1_General_CP1_CI_AS: code 'Strasse' and 'Straße'; flowforge reconcile customers"
        in note
    )
    assert "full_refresh takes out the others" in note
    assert told(lake, source, 3, ("y", 1, 3)) == []  # nothing of this load


def test_should_name_current_rows_of_a_composite_key_only(lake):
    columns = {"code": CI, "part": {"nullable": True}}
    source = lake.source(requested_key=["part", "code"], columns=columns, strategy="scd2", cursor="changed")
    rows = [("ﬁx", 1, 1), ("ﬁx", 2, 1), ("e\u0301", None, 1), ("gone²", 3, 1)]
    assert told(lake, source, 1, *((*row, DAYS[0]) for row in rows)) == []
    (note,) = told(lake, source, 2, ("FIX", 1, 2, DAYS[1]), ("é", None, 2, DAYS[1]), ("other", 2, 2, DAYS[1]))
    assert "beside 2 of its keys" in note
    assert "part, code ('1', 'FIX') and ('1', 'ﬁx'); ('NULL', 'e\u0301') and ('NULL', 'é')" in note
    full = {"load": "full_refresh", "cursor": None}
    assert (
        told(lake, source, 3, ("FIX", 1, 3, DAYS[2]), ("gone2", 3, 3, DAYS[2]), **full) == []
    )  # the others have ended


def test_should_not_doubt_two_keys_of_one_load_that_the_source_tells_apart(lake):
    rows = [("Straße", 1, 1), ("Strasse", 2, 1)]
    assert told(lake, source_of(lake), 1, *rows) == []
    assert told(lake, source_of(lake, table="full", load="full_refresh"), 1, *rows) == []
    (note,) = told(lake, lake.source("asked", requested_key=["code"], columns={"code": CI}), 1, *rows)
    assert "code 'Strasse' and 'Straße'" in note


def test_should_ask_nothing_where_characters_are_compared(lake):
    rows = [("Straße", 1, 1), ("x", 2, 1)], [("Strasse", 1, 1)]
    binary = source_of(lake, column=CI | {"collation": "Latin1_General_BIN2"})
    exact = source_of(lake, table="exact", silver={"key_comparison": "exact"})
    adding = source_of(lake, table="adding", strategy="append", cursor="changed")
    for source in (binary, exact, adding):
        assert [told(lake, source, seq, *batch) for seq, batch in enumerate(rows, 1)] == [[], []]


def test_should_say_so_when_the_keys_could_not_be_looked_at(lake):
    source = source_of(lake)
    batch = source.batch(1, codes(("Straße", 1, 1)))
    refine(batch, lake.bucket)
    lake.s3.delete_object(Bucket=lake.bucket, Key=given(batch.manifest).objects[0].key)
    (note,) = near_key_notes(batch, lake.bucket)
    assert note.startswith(
        "silver.customers: keys in other spellings, which the source may take for the same, were not looked"
    )
    assert silver(lake) == [("Straße", 1)]


def test_should_name_a_few_of_many_and_the_beginning_of_long_ones(lake):
    source = source_of(lake)
    told(lake, source, 1, *((f"Gruß {n:03}{'x' * 60}", 1, 1) for n in range(100)))
    (note,) = told(lake, source, 2, *((f"GRUSS {n:03}{'x' * 60}", 1, 2) for n in range(100)))
    assert note.startswith("silver.customers: beside 100 of its keys stands another spelling")
    assert note.count("x…' and 'Gruß 00") == 3
