"""Which view of the data a read has: asked for where the database offers it, and told with what was read.

    snapshot                  SNAPSHOT isolation: every row as it was at one moment, when the statement began
    read committed snapshot   READ COMMITTED with row versions (READ_COMMITTED_SNAPSHOT ON): the same for one statement
    read committed            READ COMMITTED with locks: every row as it was when the read reached it; a row that an update moves
                              meanwhile can be missed or come twice

Each table or slice is one statement, so the first two do not differ in what is read; SNAPSHOT says so whatever the database's
default is, and takes no locks either way. Bounds are fixed before, in autocommit: the statement's view is never older than them.
"""

from collections.abc import Sequence

from flowforge.domain.slice_plan import SlicePlan
from flowforge.sources.sqlserver.statement import Statement

SNAPSHOT, VERSIONED, LOCKED = "snapshot", "read committed snapshot", "read committed"
STRONGEST_FIRST = (SNAPSHOT, VERSIONED, LOCKED)


def offered(snapshot_state: int | None, is_versioned: bool | None, wanted: bool = True) -> list[str]:
    """What to ask for, in this order, by sys.databases (snapshot_isolation_state, is_read_committed_snapshot_on).

    The last one is never refused. `wanted` False does not ask for SNAPSHOT.
    """
    plain = VERSIONED if is_versioned else LOCKED
    return [SNAPSHOT, plain] if wanted and snapshot_state == 1 else [plain]


def promise_of_keys(offered: Sequence[str], splits: SlicePlan | None) -> str:
    """What a comparison of keys rests on, in a sentence for the run."""
    each = f" of {len(splits.ranges)} slices" if splits is not None else ""
    if LOCKED in offered[:1]:
        return (
            f"all keys{each} read twice under READ COMMITTED, in which a row that writers move can be missed: one that both "
            "readings miss looks gone until a load brings its change. ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON mends that"
        )
    return (
        f"all keys{each}, each reading as they were at one moment, read twice: what neither has is gone from the source"
    )


def under(consistency: str, statement: Statement) -> Statement:
    """The statement, after what its session needs for it; in one batch, so that it costs no round trip."""
    if consistency != SNAPSHOT:
        return statement
    return Statement(("SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\n",)) + statement


def weakest(held: list[str]) -> str:
    """What can be said of all that was read; empty where it is not known of a part."""
    if not held or not all(one in STRONGEST_FIRST for one in held):
        return ""
    return max(held, key=STRONGEST_FIRST.index)
