"""Which batches count when nothing but bronze is left."""

from hypothesis import given
from hypothesis import strategies as st

from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import FoundObject

KEY = "localhost:1433/Bank/dbo.t>bronze_t"


def landed(seq: int, before: str | None, high: str | None, generation: int = 1, part: int = 0, parts: int = 1, **more):
    interval = {"column": "c" if high else None, "sql_type": "int" if high else None, "low": before, "high": high}
    footer = {
        "version": 1,
        "run_id": f"run_{generation}_{seq}",
        "source_key": KEY,
        "generation": generation,
        "seq": seq,
        "slice": part,
        "slices": parts,
        "interval": interval,
        "identity": {"object_id": 7},
        "watermark_before": before,
        "rows": 1,
        "columns": [],
    }
    return FoundObject(f"bronze/bronze_t/b{generation}_{seq}_{part}.parquet", '"e"', 9, footer | more)


def watermark(*objects: FoundObject) -> str | None:
    (one,) = rebuild_states(objects, "lake")
    return one.state.watermarks["c"].value if "c" in one.state.watermarks else None


def test_should_take_the_newest_whole_batch():
    assert watermark(landed(1, None, "10"), landed(2, "10", "20")) == "20"


def test_should_not_count_a_batch_that_lacks_a_slice():
    half = landed(2, "10", "20", part=0, parts=2)
    assert watermark(landed(1, None, "10"), half) == "10"
    whole = landed(2, "10", "20", part=1, parts=2)
    assert watermark(landed(1, None, "10"), half, whole) == "20"
    assert watermark(landed(1, None, "10"), half, landed(3, "20", "30")) == "30"  # the other slice was empty


def test_should_start_a_generation_above_all_that_bronze_knows():
    (one,) = rebuild_states([landed(1, None, "10"), landed(2, None, "5", generation=2)], "lake")
    assert (one.state.generation, one.state.seq, one.state.watermarks["c"].value) == (3, 2, "5")
    assert one.state.active is None


def test_should_leave_foreign_objects_alone():
    foreign = [FoundObject("bronze/x/a.parquet", '"e"', 9, None), FoundObject("bronze/x/b.parquet", '"e"', 9, {"a": 1})]
    assert rebuild_states(foreign, "lake") == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=1, max_size=12), st.randoms())
def test_should_never_pass_what_was_given_up(history, random):
    """Batches that were committed or given up one after the other: the watermark is the last committed one's, or that of a
    last one that is whole in bronze; what was given up before it never counts."""
    objects, mark = [], 0
    for seq, (commits, step) in enumerate(history, 1):
        objects.append(landed(seq, str(mark) if mark else None, str(mark + step)))
        mark += step if commits else 0
    last = int(objects[-1].footer["interval"]["high"])
    random.shuffle(objects)
    (one,) = rebuild_states(objects, "lake")
    assert int(one.state.watermarks["c"].value) == last
    assert one.state.seq == len(history)
