"""Keys are compared as the source compares them, of every type, in slices and beside other loads."""

from functools import partial

import pytest

from events.facts import BronzeLanded
from flowforge.bronze.key_reading import ReadTwice
from flowforge.bronze.planning import described
from flowforge.domain.errors import Wait
from flowforge.domain.given import given
from flowforge.silver.step import refine_landed
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, table
from tests.helpers.key_comparisons import GROWING, compared, ids, keyed, refined
from tests.helpers.loads import run_slices


def test_should_compare_keys_as_the_source_does(loads):
    load = loads()
    load.execute(
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id varchar(20) COLLATE Latin1_General_CI_AS PRIMARY KEY, at datetime2(3))",
        "INSERT INTO {t} VALUES ('Abc', '2024-01-01'), ('def ', '2024-01-01'), ('gone', '2024-01-01')",
    )
    refined(load, keyed(load, "a"))
    load.execute("UPDATE {t} SET id = 'ABC' WHERE id = 'abc'", "UPDATE {t} SET id = 'def' WHERE id = 'def'")
    load.execute("DELETE FROM {t} WHERE id = 'gone'")
    (fact,) = compared(load, "b")
    assert (fact.deleted, ids(load)) == (1, ["Abc", "def "])


def test_should_keep_rows_that_stopped_to_fit_the_conditions(loads):
    load = loads()
    wanted = {"where": [{"column": "at", "operator": "<", "values": ["2024-02-15"]}]}
    load_it = keyed(load, "a").model_copy(update={"source": load.command("a", **wanted).source})
    refined(load, load_it)
    assert ids(load) == [10, 20]
    load.execute("UPDATE {t} SET at = '2024-09-09' WHERE id = 10", "DELETE FROM {t} WHERE id = 20")
    (fact,) = compared(load, "b", source={"where": load.command("b", **wanted).source.where})
    assert (fact.deleted, ids(load)) == (1, [10])
    state = table.read_state(load.key)
    assert given(state.scope).rows.startswith("at < 2024-02-15")  # of the rows, which a comparison has none of


def test_should_count_only_rows_of_earlier_batches(loads):
    """Silver takes a later load before the comparison, of rows that came after its keys were read."""
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    (keys,) = load.follow(keyed(load, "b").model_copy(update={"only_keys": True}))
    load.execute("INSERT INTO {t} (id) VALUES (40)", "DELETE FROM {t} WHERE id = 10")
    refined(load, keyed(load, "c"))
    assert given(refine_landed(keys)).deleted == 0 and ids(load) == [10, 20, 30, 40]


def test_should_wait_until_silver_has_what_was_landed_before(loads):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    load.execute("INSERT INTO {t} (id) VALUES (40)")
    (rows,) = load.follow(keyed(load, "b"))
    load.execute("DELETE FROM {t} WHERE id = 40")
    (keys,) = load.follow(keyed(load, "c").model_copy(update={"only_keys": True}))
    with pytest.raises(Wait, match="is not in silver yet"):
        refine_landed(keys)
    refine_landed(rows)
    assert given(refine_landed(keys)).deleted == 1 and ids(load) == [10, 20, 30]


def test_should_find_a_row_that_is_put_back_between_the_two_readings(loads):
    load = loads()
    command = load.command("a").model_copy(update={"only_keys": True})
    source, opened = source_at(command.connection), []
    with source.session() as session:
        plan = session.plan(described(session, command), {})
    load.execute("DELETE FROM {t} WHERE id IN (20, 30)")

    def opening():
        if opened:
            load.execute("INSERT INTO {t} VALUES (20, '2024-02-02')", "DELETE FROM {t} WHERE id = 10")
        opened.append(True)
        return source.open(plan)

    with ReadTwice(opening, source.weakest) as reader:
        found = [row["id"] for rows in reader for row in rows.to_pylist()]
        assert (found, reader.report().counted) == ([10, 20], None)
    with ReadTwice(partial(source.open, plan), source.weakest, held_bytes=1) as reader:  # too many to be held
        assert [row["id"] for rows in reader for row in rows.to_pylist()] == [20, 20]


def test_should_tell_keys_of_every_type_apart(loads):
    kinds = {
        "number": ("bigint", "9007199254740993", "9007199254740992"),
        "balance": ("decimal(12,2)", "-10.50", "-10.51"),
        "price": ("money", "1.2345", "1.2346"),
        "name": ("nvarchar(20)", "N'Müller'", "N'Möller'"),
        "code": ("char(4)", "'AA'", "'BB'"),
        "flag": ("bit", "1", "0"),
        "born": ("date", "'2024-02-29'", "'2024-03-01'"),
        "clock": ("time(3)", "'10:00:00.001'", "'10:00:00.002'"),
        "seen": ("datetime", "'2024-01-01 10:00:00.997'", "'2024-01-01 10:00:01.000'"),
        "made": ("datetime2(7)", "'2024-01-01 10:00:00.1234567'", "'2024-01-01 10:00:00.1234568'"),
        "sent": ("datetimeoffset(3)", "'2024-01-01 10:00:00.5 +02:00'", "'2024-01-01 10:00:00.5 +00:00'"),
        "mark": (
            "uniqueidentifier",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FE'",
        ),
        "raw": ("varbinary(8)", "0x0102", "0x0103"),
    }
    load = loads(**GROWING)
    columns = ", ".join(f"[{name}] {kind} NOT NULL" for name, (kind, *_) in kinds.items())
    key = ", ".join(f"[{name}]" for name in kinds)
    first = [value for _, value, _ in kinds.values()]
    rows = [first, *([*first[:n], other, *first[n + 1 :]] for n, (_, _, other) in enumerate(kinds.values()))]
    load.execute("DROP TABLE {t}", f"CREATE TABLE {{t}} ({columns}, id int, at rowversion, PRIMARY KEY ({key}))")
    for n, row in enumerate(rows):
        load.execute(f"INSERT INTO {{t}} ({key}, id) VALUES ({', '.join(row)}, {n})")
    refined(load, keyed(load, "a"))
    assert compared(load, "b")[0].deleted == 0 and ids(load) == list(range(len(rows)))
    load.execute("DELETE FROM {t} WHERE id % 2 = 1")
    assert compared(load, "c")[0].deleted == len(rows) // 2
    assert ids(load) == list(range(0, len(rows), 2))


def test_should_read_keys_in_slices_and_land_the_empty_ones_too(loads, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1010")
    load.load("a")
    (rows,) = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    load.commit(rows)
    refine_landed(rows)
    before = ids(load)
    load.execute("DELETE FROM {t} WHERE id IN (1003, 1004, 1009)")
    assert load.follow(keyed(load, "b").model_copy(update={"only_keys": True})) == []
    (keys,) = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    load.commit(keys)
    batch = batch_records.history(load.key)[0]
    assert len(given(batch.slices).ranges) > 1 and len(given(batch.manifest).objects) == len(given(batch.slices).ranges)
    assert given(refine_landed(keys)).deleted == 3
    assert ids(load) == [one for one in before if one not in (1003, 1004, 1009)]
