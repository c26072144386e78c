"""Splits in the record of their batch: as many as it has room for."""

from flowforge.aws.compact import pack
from flowforge.domain.slice_plan import KeyRange, SlicePlan

# Of a batch's record, which holds 400 KB: the bounds of slices are keys, and keys may be long.
MOST_PLAN_BYTES = 120_000


def fitting(plan: SlicePlan) -> SlicePlan | None:
    """The plan with as many slices as the batch's record has room for: each time two neighbours become one. None where one is
    left."""
    while len(pack(plan.model_dump(mode="json"))) > MOST_PLAN_BYTES and len(plan.ranges) > 1:
        pairs = [plan.ranges[n : n + 2] for n in range(0, len(plan.ranges), 2)]
        ranges = [KeyRange(low=pair[0].low, high=pair[-1].high) for pair in pairs]
        plan = plan.model_copy(update={"ranges": ranges})
    return plan if len(plan.ranges) > 1 else None
