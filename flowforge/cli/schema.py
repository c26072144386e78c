"""`flowforge schema`: a silver table's columns, and what a person decides when the source's have changed."""

from typing import Annotated, Any

import typer

from flowforge.cli.failure import GOOD, BadRequest
from flowforge.cli.layout import facts, table
from flowforge.cli.options import Session, api_command

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="The silver table's name.")]


@api_command
def schema(
    name: TableName,
    session: Session,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="COLUMN=TYPE",
            help="The column's type from now on, as SQL Server names it; may be repeated.",
        ),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept what changed so far, under a contract.")] = False,
    keep_key: Annotated[
        bool, typer.Option("--keep-key", help="Keep the table's key, whatever the source's is.")
    ] = False,
) -> int:
    """Show a silver table's columns, or decide how they go on; then replay what was refused."""
    decided = dict(_pair(text) for text in types or [])
    body = {"types": decided} if decided else {}
    body |= {field: True for field, wanted in (("accept", accept), ("keep_key", keep_key)) if wanted}
    with session.open() as api:
        path = ("silver", name, "schema")
        answer = api.put(*path, body=body) if body else api.get(*path)
    session.out.answer(answer, *_shown(answer))
    return GOOD


def _pair(text: str) -> tuple[str, str]:
    column, sign, kind = text.rpartition("=")
    if not (sign and column and kind):
        raise BadRequest(f"expected COLUMN=TYPE, got {text}", 'for example --type "amount=DECIMAL(18,2)"')
    return column, kind.strip().upper()


def _shown(answer: dict[str, Any]) -> list[Any]:
    gone = set(answer["dropped"])
    heading = [
        ("table", f"silver.{answer['table']}"),
        ("source key", answer["source_key"]),
        ("version", answer["version"]),
        ("rows are told apart by", f"{answer['identity']}{' (kept)' if answer['keeps_key'] else ''}"),
    ]
    rows = ([c["name"], c["type"], c["decided"], "yes" if c["name"] in gone else None] for c in answer["columns"])
    means = [
        (one["column"], f"{one['written']} is {one['type']} in the lake: {one['meaning']}")
        for one in answer.get("decided_now", ())
    ]
    shown = [facts(heading), table(["column", "type", "decided", "gone from the source"], rows)]
    return [*shown, facts(means)] if means else shown
