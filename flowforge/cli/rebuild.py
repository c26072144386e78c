"""`flowforge watermark rebuild`: restores the watermark table from what bronze says of itself.

It works with the caller's own AWS credentials, since it is for the day when FlowForge's own memory is lost: it lists bronze,
looks at silver and, with --write, writes the watermark table.
"""

from typing import Annotated, Any

import typer

from flowforge.cli import options
from flowforge.cli.failure import FAILED, GOOD
from flowforge.cli.lake import Bucket, WatermarksTable, lake_failures, open_records
from flowforge.cli.layout import table
from flowforge.cli.output import Output

_COLUMNS = ("bronze table", "stored", "in bronze", "watermarks", "batches", "for silver", "action")


def rebuild(
    name: Annotated[str | None, typer.Option("--table", metavar="TABLE", help="One bronze table; else all.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write it; without, nothing is changed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also over a state that is as new or in use.")] = False,
    bucket: Bucket = None,
    state: WatermarksTable = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Restore the watermark table from bronze footers; shows what it would write. Exits 1 when --write left a table alone."""
    from flowforge.operations.rebuild import rebuild as rebuild_states

    out = Output(as_json)
    chosen = open_records(bucket, state, api)
    with lake_failures():
        answer = rebuild_states(chosen, name, write, force)
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
