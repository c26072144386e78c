"""What a load makes of the watermark that it finds: never another value, never of another type."""

import pytest

from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import SourceChanged, UnsupportedSource
from flowforge.state import corrections, table


def test_should_stop_at_a_watermark_of_a_column_that_has_another_type_now(loads):
    load = loads(indexed=False)
    load.load("one")
    load.execute("ALTER TABLE {t} ALTER COLUMN at datetime")
    with pytest.raises(SourceChanged, match=r"at is datetime now; its watermark was taken as datetime2\(3\)") as caught:
        ingest(load.command("two"))
    assert "flowforge watermark set" in caught.value.remedy


@pytest.mark.parametrize("value", ["2024-02-02T00:00:00+02:00", "now", ""])
def test_should_refuse_what_was_set_by_hand_and_is_no_moment_of_the_column(loads, value):
    load = loads()
    load.load("one")
    corrections.set_watermark(table.read_state(load.key), "at", value, "test")
    with pytest.raises(UnsupportedSource, match="a watermark set by hand"):
        ingest(load.command("two"))
    corrections.set_watermark(table.read_state(load.key), "at", "2024-02-02T00:00:00", "test")
    assert load.load("three")[0].records == 2
