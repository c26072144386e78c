"""The second opinion: the source counts a batch's rows on its own, and what it says is compared with what landed.

    in the read's own snapshot   must be equal, or the read fails and starts again (the source's reader checks it)
    after landing                only where the interval is closed. Fewer rows: some were changed or deleted since, they come with
                                 a later batch or are gone. More rows: one came late into an interval that no later batch reads;
                                 the batch is given up, or the row would be lost

Rows without a cursor are read again with every batch and are left out of that comparison. Where a count that nobody insists on
cannot be made, the batch lands all the same and says so.
"""

import time
from collections.abc import Sequence

from flowforge.domain.errors import FlowForgeError
from flowforge.domain.manifest import BronzeObject, SourceCount
from flowforge.runtime.time_limit import deadline
from flowforge.sources.base import Source
from flowforge.sources.plans import ReadPlan
from flowforge.sources.reports import Recount

COUNT_SECONDS = 120.0  # longer than an index takes that is worth it; a writer's lock is not waited for without end
IN_SNAPSHOT, IN_SNAPSHOTS = "in the snapshot that was read", "in the snapshot of each slice"
AFTER_LANDING = "after landing"
UNKNOWN = "not counted: an earlier version landed these rows without counting those that have no cursor"


def count_landed(source: Source, plan: ReadPlan, landed: Sequence[BronzeObject]) -> tuple[SourceCount, int]:
    """What the source counts for a plan whose objects have all landed, and how many rows came late.

    Raises what reading raises, where the count is insisted on.
    """
    before, counting = _counted_together(landed), plan.counting
    if not counting.afterwards:
        return before or SourceCount(how=counting.why_not), 0
    if any(one.null_cursors is None for one in landed):
        return before or SourceCount(how=UNKNOWN), 0
    try:
        found = _ask(source, plan)
    except FlowForgeError as error:
        if counting.insisted:
            raise
        return before or SourceCount(how=f"not counted: {error}"), 0
    missing = found.with_position - sum(one.rows - (one.null_cursors or 0) for one in landed)
    how = AFTER_LANDING if before is None else f"{before.how}, and again {AFTER_LANDING}"
    return SourceCount(rows=found.rows, how=how, at=found.at, left=max(0, -missing)), max(0, missing)


def _counted_together(landed: Sequence[BronzeObject]) -> SourceCount | None:
    if not landed or any(one.source_rows is None for one in landed):
        return None
    how = IN_SNAPSHOT if len(landed) == 1 else IN_SNAPSHOTS
    rows, at = sum(one.source_rows or 0 for one in landed), max(one.counted_at for one in landed)
    return SourceCount(rows=rows, how=how, at=at)


def _ask(source: Source, plan: ReadPlan) -> Recount:
    soon = None if plan.counting.insisted else time.monotonic() + COUNT_SECONDS
    return source.recount(plan, min((limit for limit in (deadline(), soon) if limit is not None), default=None))
