"""`flowforge replay`: shows the messages that steps have given up, and puts them back once their cause is gone.

Without a selection nothing is changed. A message that goes back twice is handled once, so the command may be repeated.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.options import Session, api_command
from flowforge.cli.output import Rows

MOST_CALLS = 50  # each sees up to 1,000 messages of each queue
_COLUMNS = ("queue", "table", "run", "reason", "age", "id")


@api_command
def replay(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Put back every message.")] = False,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Put back the messages of a run.")] = None,
    name: Annotated[str | None, typer.Option("--table", metavar="TABLE", help="… of a bronze or source table.")] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="… of this id; may be repeated.")] = None,
) -> int:
    """List the messages in the dead-letter queues, or put them back; exits 1 when a selection fits none."""
    wanted = {"run_id": run, "table": name, "ids": ids or None}
    body: dict[str, Any] = {field: value for field, value in wanted.items() if value is not None}
    if everything and body:
        raise BadRequest("--all stands alone", "give --all, or any of --run, --table and --id")
    with session.open() as api:
        if not everything and not body:
            answer = api.get("dead-letters")
            session.out.answer(answer, _listed(answer) if answer["messages"] else "The dead-letter queues are empty.")
            if answer["more"]:
                session.out.say("There are more messages; these are the ones that were seen first.")
            return GOOD
        chosen = {"all": True} if everything else body
        answer = _to_the_end(lambda: api.post("dead-letters", "replay", body=chosen))
    count = len(answer["messages"])
    told = [_listed(answer), f"{count} message{'' if count == 1 else 's'} put back."] if count else ["No such message."]
    if answer["more"]:
        session.out.say("There are more messages; run the command again.")
    session.out.answer(answer, *told)
    return GOOD if count else FAILED


def _to_the_end(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Asks until the queues have been walked: one call of the API sees what it can in its time."""
    found: list[dict[str, Any]] = []
    for _ in range(MOST_CALLS):
        answer = ask()
        found += answer["messages"]
        if not answer["more"]:
            break
    return {"messages": found, "more": answer["more"]}


def _listed(answer: dict[str, Any]) -> Any:
    rows = [
        [one["queue"], one["table"], one["run_id"], one["reason"], _since(one["age_seconds"]), one["id"]]
        for one in answer["messages"]
    ]
    return Rows(_COLUMNS, rows, prose="reason")


def _since(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
