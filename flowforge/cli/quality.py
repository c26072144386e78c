"""`flowforge quality`: what the quality rules of a silver or gold table found, and what is in quarantine."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import GOOD, BadRequest
from flowforge.cli.layout import cell, facts, moment, table
from flowforge.cli.options import Session, api_command

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A silver table, or gold.TABLE.")]
GOLD = "gold."


@api_command
def quality(
    name: TableName,
    session: Session,
    release: Annotated[
        bool, typer.Option("--release", help="Judge quarantine anew, by the newest rules; what passes goes to silver.")
    ] = False,
) -> int:
    """Show what the quality rules found in a silver table's newest batch, and what is in quarantine; or release it.

    For gold.TABLE: what they found in all its rows, and in those that were refused since."""
    in_gold = name.startswith(GOLD)
    if in_gold and release:
        raise BadRequest(f"{name} has no quarantine", "a gold table is made anew from its inputs: flowforge models")
    with session.open() as api:
        if release:
            answer = api.post("silver", name, "release", body={})
            told = f"{answer['rows']:,} rows of silver.{answer['table']} are judged anew; this shows what stays: "
            session.out.answer(answer, f"{told}flowforge quality {answer['table']}")
            return GOOD
        answer = api.get("gold", name.removeprefix(GOLD), "quality") if in_gold else api.get("silver", name, "quality")
    session.out.answer(answer, *(_gold(answer) if in_gold else _silver(answer)))
    return GOOD


def rules_held(figures: Sequence[Any]) -> Text:
    """How many rules hold, in a few words; figures as the product has them."""
    failing = sum(bool(figure.failed) for figure in figures)
    if not figures:
        return cell(None)
    return (
        Text(f"{failing} of {len(figures)} broken", "yellow") if failing else Text(f"all {len(figures)} hold", "green")
    )


def _silver(answer: dict[str, Any]) -> Iterable[Any]:
    batch = answer["batch"] and f"{answer['batch']['seq']} of generation {answer['batch']['generation']}"
    yield facts([("table", f"silver.{answer['table']}"), ("newest batch with rules", batch)])
    if answer["rules"]:
        yield _figures(answer["rules"])
    if answer["quarantine"]:
        columns = ("reason", "generation", "seq", "rows")
        yield table(columns, ([kept[column] for column in columns] for kept in answer["quarantine"]))
    else:
        yield "Nothing is in quarantine."


def _gold(answer: dict[str, Any]) -> Iterable[Any]:
    published = moment(answer["published_at"])
    yield facts([("table", f"gold.{answer['table']}"), ("version", answer["version"]), ("published", published)])
    yield _figures(answer["rules"]) if answer["rules"] else "No rules were in force when it was published."
    if refused := answer["refused"]:
        yield Text.assemble("Refused since, at ", moment(refused["at"]), ": ", (cell(refused["reason"]).plain, "red"))
        if refused["rules"]:
            yield _figures(refused["rules"])


def _figures(rules: list[dict[str, Any]]) -> Any:
    columns = ("rule", "severity", "checked", "failed")
    return table(columns, ([rule[column] for column in columns] for rule in rules))
