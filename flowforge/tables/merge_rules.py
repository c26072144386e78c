"""What a merge is told: what becomes of rows, and the rows that arrive."""

from dataclasses import dataclass, field

from flowforge.domain.given import given
from flowforge.engines.base import Session

REPLACED, REMOVED, MARKED, STAYS = "replaced", "removed", "marked", "stays"
# Of the arriving rows, at about 14 bytes: 700 MB, of which DuckDB spills what its limit does not allow.
HELD_CELLS = 50_000_000


@dataclass(frozen=True)
class Rules:
    """What becomes of rows, as SQL.

    `on_match` is the action of a table row `t` that shares its identity with an arriving row `s`, `on_missing` that of a row that
    shares it with none (None: the row stays). `arrives` selects the arriving rows without a match that are added. `marks` are the
    column values of a MARKED row; they may use `noted` values of either row, as `f.<name>`. `one_row` orders, by noted values,
    the table rows of one identity where only one may stay: the first one counts. With `adds_all` all arriving rows are added,
    with a match or without.
    """

    on_match: str
    arrives: str
    on_missing: str | None = None
    marks: dict[str, str] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)
    one_row: str = ""
    adds_all: bool = False


@dataclass(frozen=True)
class Arriving:
    """`name` is the relation of the arriving rows, which reads them again each time unless it `is_held`. `row_actions` has what
    the rules ask of them and no more, where there is such a relation; some of its rows may only match, and bring none."""

    name: str
    is_held: bool
    row_actions: str | None = None


def receive(connection: Session, query: str, columns: int, most_rows: int | None = None) -> Arriving:
    """Gives the rows of a query a name, and holds them in a temporary table where there are not too many. They are counted first
    unless it is known that there are no more than `most_rows`, and that these are few."""
    if most_rows is None or most_rows * columns > HELD_CELLS:
        connection.sql(query).create_view("offered", replace=True)
        (count,) = given(connection.execute("SELECT count(*) FROM offered").fetchone())
        if count * columns > HELD_CELLS:
            return Arriving("offered", False)
        query = "SELECT * FROM offered"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE arriving AS {query}")
    return Arriving("arriving", True)
