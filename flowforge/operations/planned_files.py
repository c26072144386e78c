"""The files that a plan is about: those that the next batch reads, in their order, and what becomes of the others.

Guarantees: read only. What is next is what the plan itself has chosen; a state is told of each other file that the request means.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from events.targets import SourceFiles
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.file_version import FileVersion
from flowforge.sources.files.listing import placing
from flowforge.sources.plans import ReadPlan
from flowforge.state.file_ledger import newest_taken
from flowforge.state.file_refusals import refused_versions
from flowforge.state.table import TableState

SHOWN = 200
STATES = ("next", "waits", "refused", "empty", "skipped", "loaded")  # in which files are shown


def planned_files(
    read: SourceFiles, state: TableState, plan: ReadPlan, listed: Sequence[FileVersion]
) -> dict[str, Any]:
    """`files`: the first SHOWN, those of the next batch first; `file_counts`: how many are in each state. Of the states `waits`
    is for a later batch, `refused` is left out until the file or the request changes."""
    states = _states(read, state, plan, listed)
    place = _order(read, listed)
    chosen = {file.place: n for n, file in enumerate(plan.interval.files)}
    ordered = sorted(listed, key=lambda one: (STATES.index(states[one.place]), chosen.get(one.place, 0), place(one)))
    shown = [
        {"key": one.key, "size": one.size, "modified": one.modified, "state": states[one.place]}
        for one in ordered[:SHOWN]
    ]
    return {"files": shown, "file_counts": dict(Counter(states.values()))}


def _states(
    read: SourceFiles, state: TableState, plan: ReadPlan, listed: Sequence[FileVersion]
) -> dict[tuple[str, str], str]:
    taken = {entry.file.place: entry.file for entry in newest_taken(state, None, [])}
    refused = refused_versions(state.source_key, read.contract_id)
    chosen, skipped = ({file.place for file in files} for files in (plan.interval.files, plan.interval.skipped))
    found: dict[tuple[str, str], str] = {}
    for one in listed:
        before, refusal = taken.get(one.place), refused.get(one.place)
        if one.place in chosen:
            found[one.place] = "next"
        elif one.place in skipped:
            found[one.place] = "skipped"
        elif before is not None and before.is_same_content(one):
            found[one.place] = "loaded"
        elif not one.size:
            found[one.place] = "empty"
        else:
            found[one.place] = "refused" if refusal is not None and refusal.is_same_content(one) else "waits"
    return found


def _order(read: SourceFiles, listed: Sequence[FileVersion]) -> Any:
    place = placing(read.order, read.date_pattern)
    try:
        for one in listed:
            place(one)
    except UnsupportedSource:  # a file that was loaded under another name's rule
        return lambda one: ("", one.key)
    return place
