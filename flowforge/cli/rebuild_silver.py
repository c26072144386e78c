"""`flowforge rebuild silver TABLE`: makes a silver table anew from bronze, shows how it differs, and replaces it when told to.

It works with the caller's own AWS credentials: it reads the batches' records and bronze, and writes below silver and, while it
works, below rebuild/.
"""

from typing import Annotated, Any

import typer

from flowforge.cli import options
from flowforge.cli.failure import FAILED, GOOD
from flowforge.cli.lake import Bucket, WatermarksTable, lake_failures, open_records
from flowforge.cli.layout import facts, table
from flowforge.cli.output import Output

app = typer.Typer(help="Make tables of the lake anew from what lies below them.", no_args_is_help=True)
_COLUMNS = ("keys", "rows", "made anew", "missing", "extra", "changed", "checksum", "new checksum", "for example")


@app.command("silver")
def silver(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="The silver table's name.")],
    write: Annotated[bool, typer.Option("--write", help="Put it in place; without, the table is left alone.")] = False,
    rows: Annotated[int, typer.Option("--range-rows", min=1, help="Rows in one range of keys.")] = 100_000,
    bucket: Bucket = None,
    state: WatermarksTable = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Make a silver table anew from all its batches and compare; exits 1 while the present one differs."""
    from flowforge.domain.names import table_of
    from flowforge.operations.rebuild_silver import rebuild_silver

    out = Output(as_json)
    chosen = open_records(bucket, state, api)
    with lake_failures(), out.messages.status("reading …") as status:
        answer = rebuild_silver(chosen, table_of("silver", name), write, rows, status.update)
    out.answer(answer.document(), *_shown(answer))
    if answer.difference.equal or answer.version is not None:
        return GOOD
    out.say("The present table was left alone; --write puts the new one in its place.")
    return FAILED


def _shown(answer: Any) -> list[Any]:
    found = answer.difference
    result = "the same, row by row" if found.equal else "different"
    heading = [
        ("table", f"silver.{answer.table}"),
        ("made from", f"{answer.batches:,} batches of {answer.source_key}"),
        ("rows", found.rows),
        ("rows made anew", found.new_rows),
        ("compared", f"{len(found.ranges):,} ranges of keys, every column"),
        ("cannot be read", found.unreadable),
        *(("column", told) for told in found.columns),
        ("result", result),
        ("replaced", f"as version {answer.version}" if answer.version is not None else "no"),
    ]
    shown: list[Any] = [facts((name, value) for name, value in heading if value is not None)]
    differing = [one for one in found.ranges if one.differs]
    if differing:
        shown.append(table(_COLUMNS, map(_row, differing)))
    return shown


def _row(one: Any) -> list[Any]:
    counts = [one.rows, one.new_rows, one.missing, one.extra, one.changed]
    return [f"{one.first} … {one.last}", *counts, one.checksum[:12], one.new_checksum[:12], "; ".join(one.examples)]
