"""Whether a load reads the same part of its table as the loads before, and what to do where it does not.

A watermark says that all rows below it are landed: those that fitted the conditions of then. Guarantees: a load that goes on
above a watermark has the conditions of the loads before, or is refused before anything is claimed; a load that reads its table
anew may have others, and tells what of the rows of before it does not take out. A column that was left out and is read now is
told, since only the rows that are read from now on have it.
"""

from collections.abc import Sequence
from dataclasses import replace

from events.commands import IngestTable
from events.targets import SourceTable
from flowforge.domain.errors import ScopeChanged
from flowforge.domain.given import given
from flowforge.domain.scope import Scope, backfill_command, scope_in
from flowforge.sources.plans import ReadPlan, Wanted
from flowforge.sources.protection import setting_of
from flowforge.state import batch_records
from flowforge.state.table import TableState, asked_of

LATE = "late_columns"  # of a batch's identity: columns that the load before left out


def within_scope(state: TableState, command: IngestTable, wanted: Wanted, plan: ReadPlan) -> tuple[ReadPlan, list[str]]:
    """The plan, with the columns that it reads for the first time, and what the run should tell. Raises ScopeChanged."""
    before = _before(state, command)
    if before is None:
        return plan, []
    now = scope_in(plan.interval, plan.columns, plan.identity)
    continues = plan.interval.column is not None and plan.interval.column in state.watermarks
    name = command.bronze.table
    if not now.same_rows(before):
        if continues:
            raise _refused(name, before, now)
        notes = [] if wanted.removes_rows else _left_behind(before, now)
    else:
        notes = []
    if continues and (names := _otherwise_named(state, before, now)):
        raise _refused_names(name, names)
    if protected := _otherwise_protected(state, before, now):
        # What a job has taken of its files before stays beside what it takes now.
        if continues or (plan.interval.files and not wanted.removes_rows):
            raise _refused_protection(command, protected, before, now)
        notes = [*notes, _kept_values(protected, before, now)]
    window = command.source.window if isinstance(command.source, SourceTable) else None
    late = _late(before, plan) if continues and not (window and window.column) else []
    told = [_told_of_late(name, late, plan)] if late else []
    known = plan.identity | ({LATE: late} if late else {})
    return replace(plan, identity=known), [*notes, *told]


def _before(state: TableState, command: IngestTable) -> Scope | None:
    """The scope of the newest commit; of one by a version before, what its command says. None where nothing was loaded."""
    if state.scope is not None or not state.seq:
        return state.scope
    if state.asked == asked_of(command):
        return None  # asked before, and read so
    newest = batch_records.newest(state.source_key, lambda batch: batch.has_rows)
    read = newest.command.source if newest else None
    return Scope(left_out=read.excluded_columns) if isinstance(read, SourceTable) else None


def _otherwise_named(state: TableState, before: Scope, now: Scope) -> list[str]:
    """The columns that were read before, and have another name in the lake now."""
    names = _read_before(state, before.renamed, now.renamed, {*before.left_out, *now.left_out})
    return [f"{name} was {before.renamed.get(name, name)} and is {now.renamed.get(name, name)}" for name in names]


def _refused_names(name: str, names: Sequence[str]) -> ScopeChanged:
    return ScopeChanged(
        f"{name}: databaseConfig.rename: {'; '.join(names)}; rows of before have their values under the other name",
        f"Write it as it was; or {_again(name)} under both names.",
    )


def _otherwise_protected(state: TableState, before: Scope, now: Scope) -> list[str]:
    """The columns that were read before, and whose values become something else now."""
    return _read_before(state, before.protected, now.protected, {*before.left_out, *now.left_out})


def _read_before(state: TableState, before: dict[str, str], now: dict[str, str], left_out: set[str]) -> list[str]:
    """The columns of which something else is said now, and that are in both reads: not left out, and not new at the source."""
    differ = {name for name in {*before, *now} if before.get(name) != now.get(name)} - left_out
    if not differ:
        return []
    newest = batch_records.newest(state.source_key, lambda batch: batch.has_rows)
    read = {column.at_source for column in given(newest.manifest).columns} if newest else differ
    return sorted(differ & read)


def _kept_values(names: Sequence[str], before: Scope, now: Scope) -> str:
    return (
        f"protected otherwise from now on: {_differences(names, before, now)}; bronze, and earlier versions of silver and gold, "
        "keep what was written before"
    )


def _differences(names: Sequence[str], before: Scope, now: Scope) -> str:
    return "; ".join(
        f"{name} was {before.protected.get(name, 'as it is')} and is {now.protected.get(name, 'as it is')}"
        for name in names
    )


def _refused_protection(command: IngestTable, names: Sequence[str], before: Scope, now: Scope) -> ScopeChanged:
    name, differences = command.bronze.table, _differences(names, before, now)
    return ScopeChanged(
        f"{name}: {setting_of(command.source)}: {differences}; a load of what is new would mix both in one column",
        "Write it as it was, with the same key; or load the whole table once with bronzeConfig.loadStrategy full_refresh; or "
        f"{_again(name)}.",
    )


def _late(before: Scope, plan: ReadPlan) -> list[str]:
    left_out = {name.lower() for name in before.left_out}
    return [column.name for column in plan.columns if column.at_source.lower() in left_out]


def _told_of_late(name: str, late: Sequence[str], plan: ReadPlan) -> str:
    first = next(column.at_source for column in plan.columns if column.name == late[0])
    return (
        f"{', '.join(late)}: left out until now, so rows of before have no value in it; {backfill_command(first)}; or "
        f"{_again(name)}"
    )


def _left_behind(before: Scope, now: Scope) -> Sequence[str]:
    return [
        f"where was {before.rows}, and is {now.rows} now: what silver has of rows that do not fit any more stays there, since "
        "this load takes nothing out"
    ]


def _refused(name: str, before: Scope, now: Scope) -> ScopeChanged:
    return ScopeChanged(
        f"{name}: databaseConfig.where was {before.rows} when the table was loaded, and is {now.rows} now; a load of what is "
        "new would leave the rows of before as they were chosen then",
        "Write it as it was; or load the whole table once with bronzeConfig.loadStrategy full_refresh, which takes out what "
        f"does not fit; or {_again(name)}, and takes nothing out.",
    )


def _again(name: str) -> str:
    return f"flowforge watermark reset {name} --yes, then load again: that reads every row"
