"""`flowforge erase TABLE --key COLUMN=VALUE`: one person's rows, found in every layer, and with --apply taken out.

It works with the caller's own AWS credentials, so that the key stays in this process: no queue, event, log or item has it. Values
on the command line are seen by whoever may list the machine's processes, and kept by shells: --key-file takes them from a file or
from stdin.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli import options
from flowforge.cli.failure import DIFFERS, FAILED, GOOD, BadRequest
from flowforge.cli.lake import Bucket, WatermarksTable, lake_failures, open_records
from flowforge.cli.layout import facts, table
from flowforge.cli.output import Output

_COLUMNS = ("where", "objects", "holding rows", "rows")
MOST_BYTES = 65_536  # of a file of keys


def erase(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="The silver table's name.")],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="COLUMN=VALUE", help="Whose rows; once for each column. Others may see it: --key-file."
        ),
    ] = None,
    key_file: Annotated[
        str | None, typer.Option("--key-file", metavar="FILE", help="COLUMN=VALUE, one a line; - is stdin.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Erase; without, what is there is shown.")] = False,
    bucket: Bucket = None,
    state: WatermarksTable = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Find one person's rows in bronze, silver, gold, earlier versions, quarantine and rejects; --apply erases them. Exits 4
    while a dry run finds some, 1 when something is left."""
    values = _values([*(key or []), *_lines(key_file)])
    out = Output(as_json)
    chosen = open_records(bucket, state, api)
    from flowforge.domain.names import table_of
    from flowforge.operations.erasure.erase import erase as erase_rows

    with lake_failures(), out.messages.status("reading …") as status:
        answer = erase_rows(chosen, table_of("silver", name), values, apply, status.update)
    out.answer(answer.document(), *_shown(answer))
    if not apply:
        if answer.is_found:
            out.say("Nothing was changed; --apply erases them.")
        return DIFFERS if answer.is_found else GOOD
    return FAILED if answer.left else GOOD


def _lines(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        text = sys.stdin.read(MOST_BYTES + 1) if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"--key-file {file} cannot be read", "give a file of text in UTF-8, or - for stdin") from error
    if len(text) > MOST_BYTES:
        raise BadRequest(f"--key-file {file} is too long", "write COLUMN=VALUE, one a line")
    return [line for line in text.splitlines() if line.strip()]


def _values(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, text in enumerate(given, start=1):
        column, equals, value = text.partition("=")
        if not equals or not column.strip() or not value:
            raise BadRequest(f"key {number} is not COLUMN=VALUE", "write --key id=42, once for each column of the key")
        if column.strip() in found:
            raise BadRequest(f"the key names {column.strip()} twice", "one person at a time: one value for each column")
        found[column.strip()] = value
    if not found:
        raise BadRequest("whose rows?", "give --key COLUMN=VALUE, or --key-file FILE, which others do not see")
    return found


def _shown(answer: Any) -> list[Any]:
    erased = [(f"erased, {name}", f"{count:,}") for name, count in answer.erased.items()]
    heading = [
        ("table", answer.table),
        ("source", answer.source_key),
        ("key", ", ".join(answer.columns)),
        ("erasure", answer.id if answer.applied else "dry run"),
        *erased,
        *(("left", told) for told in answer.left),
        *(("note", told) for told in answer.notes),
    ]
    shown: list[Any] = [facts(heading), table(_COLUMNS, map(_row, answer.found))]
    if answer.remains:
        shown += [Text("What is there now:"), table(_COLUMNS, map(_row, answer.remains))]
    return shown


def _row(layer: Any) -> list[Any]:
    rows = "not known: it lacks the key's columns" if layer.rows is None else f"{layer.rows:,}"
    name = f"{layer.name} (built anew)" if layer.follows else layer.name
    return [name, f"{layer.objects:,}", f"{layer.holding:,}", rows]
