"""The lake's tables by layer and name: open, create, and commit exactly once.

Guarantees: `commit` runs an attempt until its commit goes through without any other commit in between, so what an attempt read on
its handle is what it committed on.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from flowforge.aws.clients import TRY_AGAIN
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.engines.base import ObjectUnreadable, OutOfMemory, Rows
from flowforge.tables.base import LakeTable, Moved, TableFormat
from flowforge.tables.delta.tables import Delta

FORMAT: TableFormat = Delta()  # the one line that another format changes
PREFIXES: dict[str, str] = {"silver": "silver", "gold": "gold", "quarantine": "silver/_quarantine"}
ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 2.0
YOUNG = 20  # versions: of a table with more it is not known how many upkeep has made

T = TypeVar("T")


def table_uri(bucket: str, layer: str, table: str) -> str:
    """Where a layer's table is; a layer is one of PREFIXES."""
    return f"s3://{bucket}/{PREFIXES[layer]}/{table}"


def open_table(uri: str, version: int | None = None, *, near: int | None = None) -> LakeTable | None:
    """The table at its latest version or an earlier one, or None where there is none. `near`: a version that is likely to be the
    latest or one shortly before it, which spares a call where it is. Raises VersionGone."""
    return FORMAT.open(uri, version, near)


def young(commits: int) -> int | None:
    """A table's likely version, for `open_table`, where it has had so many commits of rows; None where these are many."""
    return commits if commits <= YOUNG else None


def create_table(uri: str, rows: Rows, properties: Mapping[str, str]) -> LakeTable:
    """An empty table with the columns of `rows`, where a moment ago was none. Raises Moved when somebody else was faster."""
    return FORMAT.create(uri, rows.limit(0), properties)


def open_or_create(uri: str, rows: Rows, properties: Mapping[str, str]) -> LakeTable:
    """The table at its latest version; where there is none, an empty one with the columns of `rows` first."""
    return open_table(uri) or create_table(uri, rows, properties)


def commit(name: str, attempt: Callable[[], T]) -> T:
    """Runs `attempt` again, from its look at the table on, as long as others commit in between.

    Raises StoreUnavailable when the table is too busy; the same message may be tried later.
    """
    for number in range(ATTEMPTS):
        try:
            with store_errors(name):
                return attempt()
        except Moved:
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.05 * 2**number)))  # noqa: S311
    raise StoreUnavailable(
        f"{name}: {ATTEMPTS} commits in a row met another writer",
        "it is tried again; give the table's loads times of their own if this persists",
    )


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Translates what the format's library and the engine raise while they read and write `name`; Moved goes through."""
    try:
        with FORMAT.errors(name):
            yield
    except OutOfMemory as error:
        raise TransformRejected(
            f"{name}: more memory is needed than the function has",
            "raise its MemorySize in the template (and EphemeralStorage, where rows go that do not fit), deploy, and replay the "
            "message (flowforge replay --run RUN)",
        ) from error
    except ObjectUnreadable as error:
        raise StoreUnavailable(f"{name}: {' '.join(str(error).split())[:400]}", TRY_AGAIN) from error
