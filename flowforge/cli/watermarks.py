"""`flowforge watermark`: read, set, reset, and keep for a changed source, how far a table has been loaded.

TABLE is the bronze table's name or the source's. Setting and resetting void whatever batch is under way for the table, so
the next run starts where the person said.
"""

import sys
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.layout import cell, facts, moment, table
from flowforge.cli.loaded import address_of
from flowforge.cli.options import Session, api_command
from flowforge.cli.rebuild import rebuild

app = typer.Typer(help="Read, set or reset how far a table has been loaded.", no_args_is_help=True)

app.command("rebuild")(rebuild)

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="The bronze table's name or the source's.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; kept in the watermark's audit trail.")]

_BATCH = ("seq", "generation", "state", "label", "low", "high", "records", "at")
_CORRECTION = ("at", "action", "column", "before", "after", "reason")


@app.command("list")
@api_command
def list_all(session: Session) -> int:
    """List every table's watermark."""
    with session.open() as api:
        answer = api.all_pages("watermarks", "watermarks")
    rows = [row for mark in answer["watermarks"] for row in _rows(mark)]
    shown = table(["bronze table", "source", "column", "watermark", "committed", "generation", "seq"], rows)
    problems = [mark["problem"] for mark in answer["watermarks"] if mark.get("problem")]
    session.out.answer(answer, shown if rows else "No watermarks yet.", *map(_problem, problems))
    return FAILED if problems else GOOD


@app.command("get")
@api_command
def get(name: TableName, session: Session) -> int:
    """Show a table's watermark, its batches and who changed it by hand."""
    with session.open() as api:
        answer = api.get("watermarks", address_of(api, name))
    session.out.answer(answer, *_shown(answer))
    return GOOD


@app.command("set")
@api_command
def put(
    name: TableName,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The next run reads from here on, inclusive.")],
    column: Annotated[str, typer.Option("--column", metavar="COLUMN", help="The cursor column.")],
    session: Session,
    reason: Reason = None,
) -> int:
    """Set a table's watermark by hand."""
    body = {"column": column, "value": value, **({"reason": reason} if reason else {})}
    with session.open() as api:
        answer = api.put("watermarks", address_of(api, name), body=body)
    session.out.answer(answer, *_shown(answer))
    return GOOD


@app.command("accept")
@api_command
def accept(name: TableName, session: Session, reason: Reason = None) -> int:
    """Keep a table's watermark although its source has changed: a failover, a move, the same data restored."""
    with session.open() as api:
        answer = api.post("watermarks", address_of(api, name), "accept", body={"reason": reason} if reason else {})
    session.out.answer(answer, *_shown(answer))
    return GOOD


@app.command("reset")
@api_command
def reset(
    name: TableName,
    session: Session,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Reason = None,
) -> int:
    """Forget a table's watermark: the next run loads the table anew."""
    if not yes:
        if not sys.stdin.isatty():
            raise BadRequest(f"resetting {name} loads it anew: confirm with --yes")
        if not typer.confirm(f"Reset the watermark of {name}? The next run loads the whole table.", err=True):
            session.out.say("Nothing was changed.")
            return FAILED
    with session.open() as api:
        answer = api.delete("watermarks", address_of(api, name), reason=reason)
    session.out.answer(answer, *_shown(answer))
    return GOOD


def _rows(mark: dict[str, Any]) -> list[list[Any]]:
    columns = mark.get("watermarks") or {None: {}}
    head = [mark["bronze_table"], mark.get("source_table")]
    tail = [mark.get("generation"), mark.get("seq")]
    return [
        [*head, column, moment(found.get("value")), moment(found.get("committed_at")), *tail]
        for column, found in columns.items()
    ]


def _shown(mark: dict[str, Any]) -> list[Any]:
    marks = [(column, _mark(found)) for column, found in (mark.get("watermarks") or {}).items()]
    heading = [
        ("bronze table", mark["bronze_table"]),
        ("source", mark.get("source_table")),
        ("source key", mark["source_key"]),
        ("generation", mark.get("generation")),
        *(marks or [("watermark", None)]),
        ("batch under way", _active(mark.get("active_batch"))),
    ]
    shown: list[Any] = [facts(heading)]
    for names, entries in ((_BATCH, mark.get("history")), (_CORRECTION, mark.get("audit"))):
        if entries:
            rows = ([moment(e[n]) if isinstance(e.get(n), str) else e.get(n) for n in names] for e in entries)
            shown.append(table(names, rows))
    shown += [_problem(f"batch {e.get('seq')}: {e['problem']}") for e in mark.get("history") or [] if e.get("problem")]
    return shown


def _problem(text: str) -> Text:
    return Text(text, style="red")


def _mark(found: dict[str, Any]) -> str:
    batch = f"batch {found.get('seq')}"
    return f"{moment(found.get('value'))} ({', '.join(filter(None, [found.get('sql_type'), batch]))})"


def _active(batch: dict[str, Any] | None) -> str | None:
    if batch is None:
        return None
    return f"{batch['seq']}, {cell(batch.get('state'))}, lease until {moment(batch.get('lease_until'))}"
