"""Keys in silver are equal where the source says so: by collation, without blanks at the end, NULL with NULL."""

import random
from datetime import datetime

import pyarrow as pa
import pytest

from flowforge.gold.publish import publish
from flowforge.operations.query import query
from flowforge.silver.refine import refine
from flowforge.tables.lake import table_uri
from tests.helpers.keyed import CI, codes, silver, source_of
from tests.helpers.lake import delta_table

CS = CI | {"collation": "Latin1_General_100_CS_AS"}


def test_should_show_the_newest_spelling_of_a_key_in_the_row_that_it_had(lake):
    source = source_of(lake)
    refine(source.batch(1, codes(("abc", 1, 1), ("Ünal", 1, 1), ("X", 1, 1))), lake.bucket)
    before = dict(silver(lake, "v, _sk_id")), dict(silver(lake, "upper(code), _sk_id"))
    result = refine(source.batch(2, codes(("ABC  ", 1, 2), ("ÜNAL", 1, 2), ("Y", 1, 2))), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (1, 2, 4)
    assert silver(lake) == [("ABC  ", 2), ("X", 1), ("Y", 2), ("ÜNAL", 2)]
    after = dict(silver(lake, "upper(rtrim(code)), _sk_id"))
    assert {code: after[code] for code in before[1]} == before[1]


def test_should_tell_keys_apart_where_case_counts(lake):
    source = source_of(lake, column=CS)
    refine(source.batch(1, codes(("abc", 1, 1))), lake.bucket)
    refine(source.batch(2, codes(("ABC", 1, 2), ("abc ", 1, 2))), lake.bucket)
    assert silver(lake) == [("ABC", 2), ("abc ", 2)]


def test_should_compare_every_part_of_a_key_by_its_own_collation(lake):
    source = source_of(lake, ("part", "code"))
    refine(source.batch(1, codes(("abc", 1, 1), ("abc", 2, 1))), lake.bucket)
    refine(source.batch(2, codes(("ABC", 2, 2))), lake.bucket)
    assert silver(lake, "code, part, v") == [("ABC", 2, 2), ("abc", 1, 1)]


def test_should_close_the_version_of_the_spelling_before(lake):
    source = source_of(lake, strategy="scd2", cursor="changed")
    days = [datetime(2024, 1, day) for day in (1, 2, 3)]
    spelt = zip(("abc", "ABC", "Abc "), days, strict=True)
    batches = [source.batch(seq, codes((code, 1, 1, day))) for seq, (code, day) in enumerate(spelt, 1)]
    for batch in (batches[0], batches[2], batches[1], batches[0]):
        refine(batch, lake.bucket)
    assert silver(lake, "code, _valid_from, _valid_to, _is_current") == [
        ("ABC", days[1], days[2], False),
        ("Abc ", days[2], None, True),
        ("abc", days[0], days[1], False),
    ]


def test_should_end_a_version_by_a_refresh_only_where_the_key_is_gone_in_every_spelling(lake):
    source = source_of(lake, strategy="scd2", load="full_refresh")
    refine(source.batch(1, codes(("abc", 1, 1), ("gone", 1, 1))), lake.bucket)
    result = refine(source.batch(2, codes(("ABC", 1, 1))), lake.bucket)
    assert (result.inserted, result.deleted) == (1, 1)
    assert silver(lake, "code, _is_current") == [("ABC", True), ("abc", False), ("gone", False)]


def test_should_keep_a_respelt_row_in_a_full_refresh(lake):
    source = source_of(lake, load="full_refresh")
    refine(source.batch(1, codes(("abc", 1, 1), ("gone", 1, 1))), lake.bucket)
    result = refine(source.batch(2, codes(("ABC", 1, 2))), lake.bucket)
    assert (result.inserted, result.updated, result.deleted) == (0, 1, 1)
    assert silver(lake) == [("ABC", 2)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_end_the_same_whatever_the_order_of_spellings(lake, seed, strategy):
    chance = random.Random(seed)
    spellings = {key: [key.lower(), key, f"{key} ", key.capitalize()] for key in ("ALPHA", "BETA", "GAMMA")}
    source = source_of(lake, strategy=strategy, cursor="changed")
    batches, newest = [], {}
    for seq in range(1, 6):
        rows = [
            (chance.choice(spellings[key]), 1, seq, datetime(2024, 1, seq)) for key in chance.sample(list(spellings), 2)
        ]
        newest |= {row[0].strip().upper(): row[:3] for row in rows}
        batches.append(source.batch(seq, codes(*rows)))
    delivered = batches + chance.sample(batches, 2)
    chance.shuffle(delivered)
    for batch in delivered:
        refine(batch, lake.bucket)
    current = "silver.customers" + (" WHERE _is_current" if strategy == "scd2" else "")
    rows = query(f"SELECT code, part, v, _sk_id FROM {current} ORDER BY v, code", lake.bucket).rows
    assert {row[:3] for row in rows} == set(newest.values())
    assert len(rows) == len(newest)
    if strategy == "merge":  # the id is that of the key, whichever spelling came first
        in_order = source_of(lake, strategy=strategy, cursor="changed", silver_table="in_order")
        for seq, batch in enumerate(batches, 1):
            rows_of = batch.model_copy(
                update={"command": in_order.batch(seq, codes(("x", 1, 1, None)), label=f"o{seq}").command}
            )
            refine(rows_of, lake.bucket)
        assert sorted(row[3] for row in rows) == sorted(row[0] for row in silver(lake, "_sk_id", "in_order"))


def test_should_keep_out_and_name_two_rows_that_only_the_source_tells_apart(lake):
    source = source_of(lake)
    refine(source.batch(1, codes(("abc", 1, 1))), lake.bucket)
    result = refine(source.batch(2, codes(("Abc", 1, 2), ("ABC", 1, 3), ("d", 1, 4))), lake.bucket)
    assert (result.inserted, result.updated, result.quarantined) == (1, 0, 2)
    assert silver(lake) == [("abc", 1), ("d", 4)]
    kept = query("SELECT _reason, code FROM quarantine.customers ORDER BY code", lake.bucket).rows
    assert kept == [("one key in several spellings, which the source has told apart", code) for code in ("ABC", "Abc")]
    exact = source.batch(3, codes(("Abc", 1, 2), ("ABC", 1, 3)), silver={"key_comparison": "exact"})
    assert refine(exact, lake.bucket).inserted == 2


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_keep_two_spellings_out_of_a_key_that_a_unique_index_holds(lake, strategy):
    """The request names a key; which of the source's indexes hold it unique comes with the batch, in whatever order and case."""
    rows = codes(("Abc", 1, 2, datetime(2024, 1, 1)), ("ABC", 1, 3, datetime(2024, 1, 2)))
    asked = {"requested_key": ["part", "code"], "columns": {"code": CI}, "strategy": strategy, "cursor": "changed"}
    unique = lake.source(**asked, key=["v"], unique_keys=[["v"], ["CODE", "part"]])
    result = refine(unique.batch(1, rows), lake.bucket)
    assert (result.inserted, result.quarantined) == (0, 2)
    wider = lake.source("wider", **asked, unique_keys=[["code"]])  # unique by less than the key is unique by the key
    assert refine(wider.batch(1, rows), lake.bucket).quarantined == 2
    plain = lake.source("plain", **asked, unique_keys=[["code", "v"]])
    result = refine(plain.batch(1, rows), lake.bucket)  # nothing says so: states of one key, of which the newest counts
    assert (result.quarantined, query("SELECT max(v) FROM silver.plain", lake.bucket).rows) == (0, [(3,)])


def test_should_join_rows_that_were_doubled_before_and_keep_an_old_id(lake):
    source = source_of(lake)
    before = {"key_comparison": "exact"}
    refine(source.batch(1, codes(("abc", 1, 1), ("other", 1, 1)), silver=before), lake.bucket)
    refine(source.batch(2, codes(("ABC", 1, 2)), silver=before), lake.bucket)
    ids = dict(silver(lake, "code, _sk_id"))
    assert len(ids) == 3
    result = refine(source.batch(3, codes(("Abc", 1, 3), ("Other", 1, 3))), lake.bucket)
    assert (result.inserted, result.updated, result.deleted) == (0, 2, 1)
    assert silver(lake, "code, v, _sk_id") == [("Abc", 3, ids["ABC"]), ("Other", 3, ids["other"])]


def test_should_find_a_key_in_a_file_whose_spellings_lie_elsewhere(lake):
    source = source_of(lake)
    for seq, first in enumerate("amz", 1):
        refine(source.batch(seq, codes(*[(f"{first}{n:03}", 1, seq) for n in range(50)])), lake.bucket)
    result = refine(source.batch(9, codes(("M007", 1, 9), ("\uff3a008", 1, 9))), lake.bucket)
    assert (result.inserted, result.updated, result.silver_rows) == (0, 2, 150)


def test_should_match_null_with_null_in_a_key_of_the_request(lake):
    source = lake.source(requested_key=["part", "code"], columns={"code": CI | {"nullable": True}})
    refine(source.batch(1, codes((None, 1, 1), ("a", 1, 1), (None, 2, 1))), lake.bucket)
    result = refine(source.batch(2, codes((None, 1, 2), ("A", 1, 2))), lake.bucket)
    assert (result.inserted, result.updated, result.quarantined) == (0, 2, 0)
    assert silver(lake, "code, part, v") == [("A", 1, 2), (None, 1, 2), (None, 2, 1)]
    assert len({row[0] for row in silver(lake, "_sk_id")}) == 3


def test_should_take_one_null_for_a_key(lake):
    source = lake.source(requested_key=["part"], load="full_refresh")
    refine(source.batch(1, codes(("a", None, 1), ("b", 7, 1))), lake.bucket)
    result = refine(source.batch(2, codes(("c", None, 2))), lake.bucket)
    assert (result.updated, result.deleted, result.silver_rows) == (1, 1, 1)
    assert silver(lake, "code, part") == [("c", None)]


def test_should_keep_a_history_of_a_key_with_a_null(lake):
    source = lake.source(requested_key=["part"], strategy="scd2", load="full_refresh")
    for seq, rows in enumerate([[("a", None, 1), ("b", 7, 1)], [("c", None, 2)], [("c", None, 2)], [("d", 7, 2)]], 1):
        refine(source.batch(seq, codes(*rows)), lake.bucket)
    assert silver(lake, "code, part, _is_current") == [
        ("a", None, False),
        ("b", 7, False),
        ("c", None, False),
        ("d", 7, True),
    ]


def test_should_keep_out_rows_that_contradict_each_other_in_a_key_with_a_null(lake):
    source = lake.source(requested_key=["part", "code"], cursor="changed")
    times = [datetime(2024, 1, day) for day in (1, 2)]
    rows = [(None, 1, 1, times[0]), (None, 1, 2, times[1]), (None, 2, 3, times[0]), (None, 2, 3, times[0])]
    result = refine(source.batch(1, codes(*rows)), lake.bucket)
    assert (result.inserted, result.quarantined) == (1, 2)
    reasons = query("SELECT DISTINCT _reason FROM quarantine.customers", lake.bucket).rows
    assert reasons == [("rows with the same key differ, and NULL is a part of it",)]


def test_should_keep_rows_with_a_null_out_where_the_request_says_so(lake):
    source = lake.source(requested_key=["part", "code"], silver={"null_keys": "quarantine"})
    result = refine(source.batch(1, codes((None, 1, 1), ("a", 1, 1))), lake.bucket)
    assert (result.inserted, result.quarantined) == (1, 1)
    assert query("SELECT _reason FROM quarantine.customers", lake.bucket).rows == [("a key column is NULL",)]


def test_should_compare_rules_of_keys_as_the_source_does(lake):
    refine(source_of(lake, table="parents").batch(1, codes(("Abc", 1, 1), ("d ", 1, 1))), lake.bucket)
    rules = [
        {"rule": "reference", "columns": ["code"], "table": "parents", "severity": "quarantine"},
        {"rule": "unique", "columns": ["code"], "severity": "warn"},
    ]
    children = source_of(lake, ("part",), table="children", rules=rules)
    rows = codes(("aBC ", 1, 1), ("D", 2, 1), ("none", 3, 1), ("ABC", 4, 1))
    result = refine(children.batch(1, rows), lake.bucket)
    assert [(figure.rule, figure.failed) for figure in result.quality] == [
        ("reference code", 1),
        ("unique code", 2),
    ]
    assert silver(lake, "code, part", "children") == [("ABC", 4), ("D", 2), ("aBC ", 1)]
    again = refine(children.batch(2, codes(("abc", 5, 1))), lake.bucket)
    assert [figure.failed for figure in again.quality] == [0, 1]


def test_should_join_in_gold_as_most_sources_compare(lake):
    joined = "SELECT c.part, p.v FROM silver.children c JOIN silver.parents p ON key_of(p.code) = key_of(c.code)"
    refine(source_of(lake, table="parents").batch(1, codes(("Straße", 1, 7), ("ÉT ", 1, 8))), lake.bucket)
    gold = {"models": [{"table": "joined", "sql": joined}]}
    batch = source_of(lake, ("part",), table="children", gold=gold).batch(
        1, codes(("STRAßE  ", 1, 1), ("ét", 2, 1), ("e", 3, 1))
    )
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    assert query("SELECT * FROM gold.joined ORDER BY part", lake.bucket).rows == [(1, 7), (2, 8)]
    assert query("SELECT key_of(code) FROM silver.parents ORDER BY v", lake.bucket).rows == [("STRAßE",), ("ÉT",)]


def test_should_leave_numeric_keys_alone(lake):
    source = lake.source(key=["part"])
    refine(source.batch(1, codes(("a", 1, 1))), lake.bucket)
    refine(source.batch(2, codes(("b", 1, 2))), lake.bucket)
    table = delta_table(table_uri(lake.bucket, "silver", "customers"))
    assert [field.name for field in table.schema().fields if field.name.startswith("_flow")] == []


def test_should_keep_ids_where_the_seventh_digit_of_a_key_is_none(lake):
    kinds = {"part": {"sql_type": "int", "nullable": False}}
    digit = {"part_100ns": {"sql_type": "smallint", "derivation": "digit", "of": "part"}}
    before = lake.source(key=["part"], columns=kinds, schema_mode="contract")
    refine(before.batch(1, codes(("a", 1, 1), ("b", 2, 1))), lake.bucket)
    ids = dict(silver(lake, "part, _sk_id"))
    exact = lake.source(key=["part"], columns=kinds | digit, schema_mode="contract")
    rows = codes(("A", 1, 2), ("B", 2, 2), ("c", 2, 2)).append_column("part_100ns", pa.array([0, 0, 5], pa.int16()))
    result = refine(exact.batch(2, rows), lake.bucket)
    assert (result.inserted, result.updated, result.quarantined) == (1, 2, 0)
    assert any("seven digits" in change for change in result.schema_changes)
    found = query("SELECT part, part_100ns, _sk_id FROM silver.customers ORDER BY ALL", lake.bucket).rows
    assert [row[:2] for row in found] == [(1, 0), (2, 0), (2, 5)]
    assert (found[0][2], found[1][2]) == (ids[1], ids[2])
    fresh = exact.batch(1, rows, silver_table="fresh", label="fresh")
    refine(fresh, lake.bucket)
    assert dict(query("SELECT part, _sk_id FROM silver.fresh WHERE part_100ns = 0", lake.bucket).rows) == ids


def test_should_take_a_key_of_minus_zero_for_zero(lake):
    source = lake.source(key=["k"], columns={"k": {"sql_type": "float", "nullable": False}})
    refine(source.batch(1, pa.table({"k": [0.0, 1.5], "v": [1, 1]})), lake.bucket)
    ids = dict(silver(lake, "k, _sk_id"))
    refine(source.batch(2, pa.table({"k": [-0.0], "v": [2]})), lake.bucket)
    assert silver(lake, "v, _sk_id") == [(1, ids[1.5]), (2, ids[0.0])]


def test_should_take_bytes_that_differ_by_zeros_at_their_end_for_one_key(lake):
    source = lake.source(key=["k"], columns={"k": {"sql_type": "varbinary(8)", "nullable": False}})
    refine(source.batch(1, pa.table({"k": [b"\x01", b"\x10"], "v": [1, 1]})), lake.bucket)
    assert refine(source.batch(2, pa.table({"k": [b"\x01\x00\x00"], "v": [2]})), lake.bucket).updated == 1
    assert silver(lake, "k, v") == [(b"\x01\x00\x00", 2), (b"\x10", 1)]
