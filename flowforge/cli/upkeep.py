"""`flowforge maintain`: upkeep of silver and gold tables by hand, with their files before and after.

Like `flowforge sql` it works on the lake itself, with the caller's own S3 credentials; what runs on the schedule does the same.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flowforge.cli import options
from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import number, table
from flowforge.cli.output import Output
from flowforge.cli.rendering import size

if TYPE_CHECKING:
    from flowforge.domain.names import TableName
    from flowforge.operations.upkeep import Upkeep

Tables = Annotated[
    list[str] | None, typer.Argument(metavar="[TABLE]...", help="silver.NAME, gold.NAME, quarantine.NAME.")
]
Retain = Annotated[
    int, typer.Option("--retain", min=24, metavar="HOURS", help="Keep files of versions younger than this.")
]
_COLUMNS = (
    "table",
    "files",
    "small",
    "bytes",
    "objects",
    "files after",
    "objects after",
    "merged",
    "deleted",
    "seconds",
)


def maintain(
    tables: Tables = None,
    everything: Annotated[bool, typer.Option("--all", help="Every table of silver and gold.")] = False,
    retain: Retain = 168,
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Merge small files, delete files that no version needs any more, write log checkpoints. No row changes."""
    if bool(tables) == everything:
        raise BadRequest("which tables?", "name them, or give --all")
    chosen = open_lake(bucket, api)
    from flowforge.domain.alone import each_alone
    from flowforge.operations.upkeep import maintain as maintain_table
    from flowforge.operations.upkeep import maintained_tables

    out = Output(as_json)
    with lake_failures():
        names = maintained_tables(chosen) if everything else [_named(text) for text in tables or []]
    done, failed = each_alone(names, lambda name: maintain_table(name, chosen, retain))
    wrong = [{"table": str(one.thing), "error": one.text, "remedy": one.remedy} for one in failed]
    document = {"tables": [asdict(one) for _, one in done], "failed": wrong}
    shown = [table(_COLUMNS, (_row(one) for _, one in done))] if done else []
    out.answer(document, *shown, *(_told(one) for one in wrong))
    return FAILED if wrong else GOOD


def _named(text: str) -> "TableName":
    from flowforge.domain.names import TableName
    from flowforge.operations.upkeep import LAYERS

    layer, _, name = text.partition(".")
    if layer not in LAYERS or not name or "/" in name:
        raise BadRequest(
            f"{text} is not a table that has upkeep", f"write {', '.join(f'{one}.NAME' for one in LAYERS)}"
        )
    return TableName(layer, name)


def _told(one: dict[str, str]) -> Text:
    remedy = f"\n{one['table']}: what to do: {one['remedy']}" if one["remedy"] else ""
    return Text(f"{one['table']}: {one['error']}{remedy}", "red")


def _row(one: "Upkeep") -> list[object]:
    before, after = one.before, one.after
    counts = [number(count) for count in (before.files, before.small)]
    rest = [number(count) for count in (before.objects, after.files, after.objects, one.compacted, one.deleted)]
    return [one.table, *counts, size(before.bytes), *rest, one.seconds]
