"""Columns of the source may have any name, also one that statements for it give to what they select."""

import re

import pytest

from events.facts import BronzeLanded
from flowforge.domain.errors import SourceChanged
from flowforge.domain.given import given
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.loads import Loads, run_slices
from tests.helpers.tracked import ON

# What statements have called what they add, relations and values.
NAMES = re.findall(
    r"\w+",
    "k1 n c t l q v s o ordered converted shown line flowforge_line source_rows counted_at with_cursor there is_empty "
    "column_name version place",
)
ROW = "INSERT INTO {{t}} (slice_row, k0, [literal]) VALUES ({}, '{}', {})"


def refined(load: Loads, run: str, column: str | None, **source: object) -> int:
    """Loads to the end of silver; the rows that this then has."""
    whole = load.load(run, column, **source)
    slices = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    for fact in slices:
        load.commit(fact)
    for fact in (*whole, *slices):
        refine_landed(fact)
    return given(open_table(table_uri(settings().bucket, "silver", load.name))).count()


@pytest.mark.parametrize("tracked", [False, True], ids=["delta column", "Change Tracking"])
def test_should_load_a_table_whose_columns_are_called_as_what_statements_add(loads, sliced, tracked):
    load = loads()
    declared = "".join(f", [{name}] nvarchar(20) DEFAULT N'{name}'" for name in NAMES)
    load.execute(
        "DROP TABLE {t}",
        f"CREATE TABLE {{t}} (slice_row int, k0 varchar(9), [literal] int{declared}, PRIMARY KEY (slice_row, k0))",
        "CREATE INDEX by_literal ON {t} ([literal])",
        *[ON, "ALTER TABLE {t} ENABLE CHANGE_TRACKING"] * tracked,
        *(ROW.format(n, n % 3, n) for n in range(7, 12)),
    )
    asked = {"is_incremental": True, "change_tracking": True} if tracked else {}
    column = None if tracked else "literal"
    assert refined(load, "one", column, **asked) == 5
    load.execute("UPDATE {t} SET [literal] = [literal] + 91 WHERE slice_row < 10", ROW.format(1, "a", 97))
    assert refined(load, "two", column, **asked) == 6
    assert rebuild_silver(settings().bucket, load.name, False, 2).difference.equal
    if not tracked:  # rows that are remembered are the newest by their numbers, not by how these are written
        load.execute("UPDATE {t} SET [literal] = 9 WHERE [literal] = 100", ROW.format(2, "a", 200))
        with pytest.raises(SourceChanged, match=r"a row that was loaded with 100 has 9 now"):
            load.load("three", column)
