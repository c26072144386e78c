"""`flowforge watermark rebuild`: restores the watermark table from what bronze says of itself.

It works with the caller's own AWS credentials, since it is for the day when FlowForge's own memory is lost: it lists bronze,
looks at silver and, with --write, writes the watermark table.
"""

import os
from typing import Annotated, Any

import typer

from flowforge.cli import options
from flowforge.cli.failure import FAILED, GOOD, BadRequest, Failure
from flowforge.cli.lake import use_stack
from flowforge.cli.output import Output, table
from flowforge.cli.target import local_stack

_COLUMNS = ("bronze table", "stored", "in bronze", "watermarks", "batches", "for silver", "action")


def rebuild(
    name: Annotated[str | None, typer.Option("--table", metavar="TABLE", help="One bronze table; else all.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write it; without, nothing is changed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also over a state that is as new or in use.")] = False,
    bucket: Annotated[str | None, typer.Option("--bucket", help="The lake's bucket; else the local stack's.")] = None,
    state: Annotated[
        str | None,
        typer.Option("--watermarks-table", help="The stack's output WatermarksTable; else the local stack's."),
    ] = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Restore the watermark table from bronze footers; shows what it would write. Exits 1 when --write left a table alone."""
    from flowforge.errors import FlowForgeError
    from flowforge.recovery.rebuild import rebuild as rebuild_states

    out, stack = Output(as_json), local_stack(api)
    chosen = bucket or os.environ.get("FLOWFORGE_BUCKET") or (stack or {}).get("bucket")
    table_name = state or os.environ.get("FLOWFORGE_WATERMARKS_TABLE") or (stack or {}).get("watermarks_table")
    if not chosen or not table_name:
        raise BadRequest("which lake?", "name --bucket and --watermarks-table, or start the local stack")
    if stack is not None:
        use_stack(stack)
    os.environ["FLOWFORGE_WATERMARKS_TABLE"] = table_name
    try:
        answer = rebuild_states(chosen, name, write, force)
    except FlowForgeError as error:
        raise Failure(str(error), error.remedy, error=type(error).__name__) from error
    shown = table(_COLUMNS, map(_row, answer["tables"])) if answer["tables"] else "Bronze holds no batches."
    out.answer(answer, shown)
    left = [one for one in answer["tables"] if one["action"] == "kept"]
    if left and write:
        out.say("What is as new or in use was left alone; --force writes over it.")
    return FAILED if left and write else GOOD


def _row(one: dict[str, Any]) -> list[Any]:
    marks = ", ".join(f"{column} = {value}" for column, value in one["watermarks"].items()) or None
    stored = one["stored"] and f"generation {one['stored']['generation']}, batch {one['stored']['seq']}"
    told = f"{one['action']}: {one['reason']}" if one["reason"] else one["action"]
    found = f"generation {one['in_bronze']['generation']}, batch {one['in_bronze']['seq']}"
    return [one["bronze_table"], stored, found, marks, one["batches"], one["for_silver"], told]
