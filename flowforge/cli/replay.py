"""`flowforge replay`: shows the messages that steps have given up, and puts them back once their cause is gone.

Without a selection nothing is changed. A message that goes back twice is handled once, so the command may be repeated. It works
on what lay there when it began: what fails again meanwhile is left, and told. `--discard` gives messages up for good.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.layout import Rows, moment
from flowforge.cli.options import Session, api_command
from flowforge.cli.output import Output

LETTERS_AT_ONCE = 6_000  # which the API gives
DISCARDED_SHOWN = 1_000  # the newest
MOST_CALLS = 200  # each sees up to 1,000 messages of each queue, and takes some seconds
_COLUMNS = ("queue", "table", "run", "reason", "age", "id")
_DISCARDED = ("at", "queue", "table", "run", "failed because", "discarded because", "what follows", "id")


@api_command
def replay(  # noqa: PLR0917 (typer passes them by name)
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Put back every message.")] = False,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Put back the messages of a run.")] = None,
    name: Annotated[str | None, typer.Option("--table", metavar="TABLE", help="… of a bronze or source table.")] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="… of this id; may be repeated.")] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Give them up for good, instead; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why they are discarded; kept with the run.")] = None,
    discarded: Annotated[bool, typer.Option("--discarded", help="Show what was discarded, and why.")] = False,
) -> int:
    """List the messages in the dead-letter queues, put them back, or discard them; exits 1 when a selection fits none."""
    wanted = {"run_id": run, "table": name, "ids": ids or None}
    body: dict[str, Any] = {field: value for field, value in wanted.items() if value is not None}
    _check(everything, body, discard, reason, discarded)
    with session.open() as api:
        if discarded:
            return _show_discarded(
                api.all_pages("discarded", "dead-letters", "discarded", most=DISCARDED_SHOWN), session.out
            )
        if not everything and not body:
            return _show_letters(api.all_pages("messages", "dead-letters", limit=LETTERS_AT_ONCE), session.out)
        chosen = ({"all": True} if everything else body) | ({"reason": reason} if discard else {})
        action = "discard" if discard else "replay"
        answer = _to_the_end(lambda until: api.post("dead-letters", action, body=chosen | until), session.out)
    return _tell(answer, "discarded" if discard else "put back", session.out)


def _check(everything: bool, body: dict[str, Any], discard: bool, reason: str | None, discarded: bool) -> None:
    if everything and body:
        raise BadRequest("--all stands alone", "give --all, or any of --run, --table and --id")
    if discarded and (everything or body or discard):
        raise BadRequest("--discarded stands alone", "it shows what was discarded and changes nothing")
    if discard and not (reason and reason.strip()):
        raise BadRequest("--discard needs --reason", "say why nobody wants the messages any more; it is kept")
    if discard and not (everything or body):
        raise BadRequest("--discard what?", "give --all, or any of --run, --table and --id")
    if reason is not None and not discard:
        raise BadRequest("--reason goes with --discard", "a replay needs none")


def _show_letters(answer: dict[str, Any], out: Output) -> int:
    shown: list[Any] = [_listed(answer["messages"]) if answer["messages"] else "The dead-letter queues are empty."]
    out.answer(answer, *shown, *(_counted(len(answer["messages"]), "") if answer["messages"] else ()))
    if answer["more"]:
        out.say("There are more messages; these are the ones that were seen first.")
    return _with_failures(answer, out, GOOD)


def _show_discarded(answer: dict[str, Any], out: Output) -> int:
    fields = ("queue", "table", "run_id", "reason", "discarded_because", "consequence", "id")
    rows = [[moment(one["at"]), *(one[field] for field in fields)] for one in answer["discarded"]]
    out.answer(answer, Rows(_DISCARDED, rows, prose="failed because") if rows else "Nothing was discarded.")
    return GOOD


def _to_the_end(ask: Callable[[dict[str, Any]], dict[str, Any]], out: Output) -> dict[str, Any]:
    """Asks until the queues have been walked, and tells how far it is: one call of the API does what it can in its time."""
    found: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    until: dict[str, Any] = {}
    for _ in range(MOST_CALLS):
        answer = ask(until)
        found += answer["messages"]
        failed = answer.get("failed") or []
        if "until" in answer:
            until = {"until": answer["until"]}  # what came since the first call is none of this command's
        if not answer["more"]:
            break
        out.say(f"{len(found):,} done, about {answer.get('left', 0):,} still in the queues …", style="dim")
    return {**answer, "messages": found, "failed": failed}


def _tell(answer: dict[str, Any], done: str, out: Output) -> int:
    count = len(answer["messages"])
    told = [_listed(answer["messages"]), *_counted(count, f" {done}")] if count else ["No such message."]
    told += sorted({f"{one['queue']}: {one['consequence']}" for one in answer["messages"] if one.get("consequence")})
    if answer["more"]:
        out.say("There are more messages; run the command again.")
    if answer.get("newer"):
        out.say(f"{answer['newer']:,} came in since this began, and were left there: flowforge replay shows them.")
    out.answer(answer, *told)
    return _with_failures(answer, out, GOOD if count else FAILED)


def _with_failures(answer: dict[str, Any], out: Output, code: int) -> int:
    for one in answer.get("failed") or []:
        out.say(f"{one['queue']} {one['id'] or ''}: {one['problem']}", style="red")
    return FAILED if answer.get("failed") else code


def _counted(count: int, done: str) -> list[str]:
    return [f"{count:,} message{'' if count == 1 else 's'}{done}."]


def _listed(messages: list[dict[str, Any]]) -> Any:
    rows = [
        [one["queue"], one["table"], one["run_id"], one["reason"], _since(one["age_seconds"]), one["id"]]
        for one in messages
    ]
    return Rows(_COLUMNS, rows, prose="reason")


def _since(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
