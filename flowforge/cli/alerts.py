"""`flowforge alerts`: what people were told of by webhook or Slack, what was not taken, and a test of the receivers."""

from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import FAILED, GOOD
from flowforge.cli.layout import Rows, moment
from flowforge.cli.options import Session, api_command

app = typer.Typer(help="What a webhook or Slack was told: list alerts, and send a test.", no_args_is_help=True)

NO_RECEIVER = "No receiver is set, so nothing is sent: see AlertWebhook and AlertSlackSecret in docs/settings.md."


@app.command("list")
@api_command
def list_all(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many, the newest first.")] = 20,
) -> int:
    """List the newest alerts with what became of each. Exits 1 when a receiver has not taken one."""
    with session.open() as api:
        answer = api.get("alerts", limit=limit)
    alerts = answer["alerts"]
    rows = [[moment(one["at"]), one["kind"], one["table"] or None, one["title"], _outcome(one)] for one in alerts]
    listed: Any = Rows(["at", "kind", "table", "told", "outcome"], rows, prose="told") if rows else "No alerts."
    session.out.answer(answer, _receivers(answer), listed)
    return FAILED if any(one.get("problem") for one in alerts) else GOOD


@app.command("test")
@api_command
def test(session: Session) -> int:
    """Send a test, signed as every alert, to each receiver that is set. Exits 1 when one does not take it."""
    with session.open() as api:
        answer = api.post("alerts", "test", body={})
    tried = answer["receivers"]
    rows = [[_name(one), one["status"], one.get("problem"), one.get("remedy")] for one in tried]
    session.out.answer(answer, Rows(["receiver", "status", "problem", "remedy"], rows, prose="remedy"))
    return FAILED if any(one["status"] != "sent" for one in tried) else GOOD


def _receivers(answer: dict[str, Any]) -> str:
    names = ", ".join(map(_name, answer["receivers"]))
    return f"{names} are told of: {', '.join(answer['kinds'])}." if names else NO_RECEIVER


def _name(one: dict[str, Any]) -> str:
    return f"webhook at {one['host']}{', signed' if one['signed'] else ''}" if one["name"] == "webhook" else "Slack"


def _outcome(one: dict[str, Any]) -> Text:
    return Text(f"not taken: {one['problem']}", style="red") if one.get("problem") else Text("sent")
