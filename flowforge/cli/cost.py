"""`flowforge cost`: what a run has used of AWS, and about what that costs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import GOOD, Failure
from flowforge.cli.layout import Rows, facts
from flowforge.cli.options import Session, api_command

Prices = Annotated[
    Path | None, typer.Option("--prices", metavar="FILE", help="A table of prices (JSON) instead of our own.")
]
COLUMNS = ("step", "deliveries", "seconds", "GB-s", "S3 PUT", "S3 GET", "DynamoDB", "units read", "written", "estimate")


@api_command
def cost(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run; flowforge status lists them.")],
    session: Session,
    prices: Prices = None,
) -> int:
    """Tell what a run has used of AWS, and about what that costs by list prices."""
    from flowforge.cli.pricing import read_prices
    from flowforge.operations.pricing import cost_of

    table = read_prices(prices)
    with session.open() as api:
        found = api.get("runs", run)
    told = cost_of(found, table)
    if not told["steps"]:
        raise Failure(
            f"run {run} ({found['status']}) has told nothing of what it has used",
            "ask again once a table has landed; a run of an earlier version, or one that was rejected, never tells",
            error="NothingCounted",
        )
    session.out.answer(told, *_shown(told))
    return GOOD


def _shown(told: dict[str, Any]) -> list[Any]:
    currency = told["prices"]["currency"]
    rows = [_row(one["step"], one, currency) for one in told["steps"]]
    rows.append(_row("all", told["total"], currency))
    run = [("run", told["run_id"]), ("status", told["status"]), ("rows landed", f"{told['rows']:,}")]
    if each := told["per_million_rows"]:
        calls = f"{each['s3_calls']:,.0f} S3 calls, {each['dynamodb_calls']:,.0f} DynamoDB calls"
        run.append(
            ("a million rows", f"{each['gb_seconds']:,.1f} GB-s, {calls}, about {money(each['price'], currency)}")
        )
    total = told["total"]
    run.append(("cold starts", f"{total['cold_starts']:,}"))
    if total["silent"]:
        run.append(("failed before", f"{total['silent']:,} deliveries, of which nothing is known"))
    run.append(
        ("prices", f"list prices of {told['prices']['region']}, {told['prices']['date']}; estimates, not a bill")
    )
    left_out = [("not counted", text) for text in told["not_counted"]]
    return [Rows(COLUMNS, rows), Text(""), facts(run), Text(""), facts(left_out)]


def _row(name: str, told: dict[str, Any], currency: str) -> list[Any]:
    counts = told["counts"]
    called = [
        counts.get(what, 0) for what in ("s3_puts", "s3_gets", "dynamodb_calls", "dynamodb_reads", "dynamodb_writes")
    ]
    numbers = [Text(f"{number:,.0f}", justify="right") for number in (told["deliveries"], *called)]
    times = [Text(f"{told[name]:,.2f}", justify="right") for name in ("seconds", "gb_seconds")]
    return [name, numbers[0], *times, *numbers[1:], Text(money(told["price"], currency), justify="right")]


def money(amount: float, currency: str) -> str:
    """An amount as people read it."""
    return f"{amount:,.6f} {currency}" if amount < 1 else f"{amount:,.2f} {currency}"
