"""What a job request would load now, table by table: `flowforge plan`.

The stages are those of a load (`bronze.planning`), run up to the claim. Guarantees: nothing is written, no place of the source's
readers is taken, an inline password is kept nowhere; a table that cannot be planned is told with the error that its load would
end in, and keeps no other from being planned.
"""

import time
from typing import Any

from events.commands import IngestTable
from events.request import FileSource, JobRequest, parse_job_request
from events.targets import FilePlace, SourceFiles, SourcePlace, SourceTable
from flowforge.bronze.planning import Found, look_at, plan_next, read_at_once
from flowforge.domain.batch import Batch
from flowforge.domain.errors import FlowForgeError, Wait
from flowforge.domain.interval import Interval
from flowforge.domain.scope import scope_in
from flowforge.jobs.plan import plan_commands
from flowforge.jobs.refusals import refuse_large_commands
from flowforge.operations.planned_comparison import planned_comparison
from flowforge.operations.planned_files import planned_files
from flowforge.runtime.settings import settings
from flowforge.sources.base import Session, Source
from flowforge.sources.registry import source_at, source_of
from flowforge.sources.target import target_of
from flowforge.state import batch_records
from flowforge.state.claims import refuse_foreign_owner
from flowforge.state.spelling import loaded_from

SECONDS = 20.0  # after which no further table is begun: the API gives an answer 30
RUN = "plan"  # no run has this id


def preview(document: Any, first: int = 0) -> dict[str, Any]:
    """The tables of a request from the one at place `first` on, as many as there is time for; `next` is the place of the one that
    follows, None at the end; of files the one table that they make. Raises InvalidRequest, and what connecting raises."""
    request = parse_job_request(document)
    place, source = _source_of(request)
    until = time.monotonic() + SECONDS
    with source.session() as session:
        commands = plan_commands(request, RUN, request.batch_id or RUN, place, session.expand, loaded_from(place))
        refuse_large_commands(commands)
        rows: list[dict[str, Any]] = []
        for command in commands[first:]:
            if rows and time.monotonic() > until:
                break
            rows.append(_row(session, command))
    following = first + len(rows)
    return {"tables": rows, "total": len(commands), "next": following if following < len(commands) else None}


def _source_of(request: JobRequest) -> tuple[SourcePlace, Source]:
    config = request.source_config
    if isinstance(config, FileSource):
        bucket = FilePlace(bucket=settings().bucket)
        return bucket, source_at(bucket)
    target = target_of(config.connection, config.type)
    return target.reference, source_of(target)


def _row(session: Session, command: IngestTable) -> dict[str, Any]:
    named = {
        "source_table": command.source.title,
        "bronze_table": command.bronze.table,
        "silver_table": command.silver.table,
        "gold_table": command.gold.table,
        "mode": _mode(command),
        "refused": None,
    }
    try:
        found = look_at(session, command)
        named |= {"source_table": found.description.name, "bronze_table": found.command.bronze.table}
        named |= {"silver_table": found.command.silver.table, "gold_table": found.command.gold.table}
        return named | _planned(session, found)
    except Wait as wait:
        return named | {"outcome": "waits", "reason": str(wait), "warnings": []}
    except FlowForgeError as error:
        refusal = {"error": type(error).__name__, "message": str(error), "remedy": error.remedy}
        return named | {"outcome": "refused", "refused": refusal, "warnings": []}


def _mode(command: IngestTable) -> str:
    read = command.source
    by = read.delta_column if isinstance(read, SourceTable) else None
    if isinstance(read, SourceTable) and read.change_tracking:
        moment = ", as of one moment with the others" if read.consistent_cut else ""
        return f"changes by Change Tracking, {command.silver.strategy}{moment}"
    how = f"incremental by {by}" if by else command.bronze.load_strategy
    return f"{how}, {command.silver.strategy}"


def _planned(session: Session, found: Found) -> dict[str, Any]:
    description, state = found.description, found.known.state
    told = {"key": list(description.wanted.key) or description.primary_key, "columns": len(description.columns)}
    told |= {
        "protected": scope_in(Interval(), description.columns, description.identity).protected,
        "last": _last(state.source_key),
        "comparison": planned_comparison(session, found),
    }
    if state.active is not None:
        return told | {
            "outcome": "waits",
            "reason": f"batch {state.active} is under way",
            "warnings": description.notes,
        }
    plan, _ = plan_next(session, found, shown=True)
    if isinstance(found.command.source, SourceTable) and found.command.source.consistent_cut:
        plan = read_at_once(found, plan)
    interval = plan.interval
    told |= {"cursor": interval.column, "low": interval.low, "high": interval.high}
    told |= {"where": [one.text for one in interval.where], "promise": interval.promise}
    estimate = session.estimate(description, plan)
    if isinstance(found.command.source, SourceFiles):
        told |= planned_files(found.command.source, state, plan, estimate.files)
    if plan.nothing:
        wait = {"outcome": "waits" if plan.nothing.wait_seconds else "empty", "reason": plan.nothing.reason}
        return told | wait | {"warnings": list(dict.fromkeys([*plan.nothing.notes, *estimate.warnings]))}
    told |= {"rows": estimate.rows, "counted": estimate.counted, "bytes": estimate.bytes}
    if estimate.counted and not estimate.rows:
        return told | {"outcome": "empty", "reason": "no row in the interval now", "warnings": interval.notes}
    refuse_foreign_owner(state, found.command)
    slices = len(plan.splits.ranges) if plan.splits else estimate.slices or 1
    warnings = list(dict.fromkeys([*interval.notes, *estimate.warnings]))
    return told | {"outcome": "loads", "slices": slices, "warnings": warnings}


def _last(source_key: str) -> dict[str, Any] | None:
    """How long the newest load of the table took that gold has, from its claim on; None where none is known."""
    newest = batch_records.newest(source_key, lambda batch: batch.published and batch.has_rows)
    if newest is None or newest.manifest is None:
        return None
    return {"records": newest.manifest.rows, "seconds": _seconds(newest), "run_id": newest.command.run_id}


def _seconds(batch: Batch) -> float:
    return round(max(0.0, batch.updated_at - batch.claimed_at), 1)
