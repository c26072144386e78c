"""What an alert says, made of what the bus tells. Pure; no value of a row and no secret is in a fact, so none is in an alert."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from events.facts import SilverRefined, StepFailed

Kind = Literal["failure", "recovery", "drift", "quarantine", "nothing-new", "test"]
MOST_CHARACTERS = 4_000  # of one text


class Alert(BaseModel):
    """One alert. `id` is the same however often it is sent; `at` is UTC (ISO 8601)."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind
    at: str
    bucket: str
    table: str
    run_id: str | None = None
    title: str
    cause: str = ""
    remedy: str = ""
    details: dict[str, Any] = {}


def failure(fact: StepFailed, **told: str) -> Alert:
    """A step gave up on a table."""
    title = f"{fact.bronze_table or 'A message'} failed in step {fact.step}: {fact.error}"
    details = {"step": fact.step, "error": fact.error, "attempts": fact.attempts}
    texts = {"cause": _short(fact.cause), "remedy": _short(fact.remedy)}
    return Alert(
        kind="failure", table=fact.bronze_table, run_id=fact.run_id, title=title, details=details, **texts, **told
    )


def recovery(table: str, run_id: str, since: str, **told: str) -> Alert:
    """A table that had failed is loaded again."""
    title = f"{table} is loaded again; it had failed since {since}"
    return Alert(kind="recovery", table=table, run_id=run_id, title=title, details={"failing_since": since}, **told)


def drift(fact: SilverRefined, **told: str) -> Alert:
    """A batch has changed the columns of a silver table."""
    title = f"silver.{fact.silver_table}: columns changed: {'; '.join(fact.schema_changes)}"
    told = {"remedy": f"flowforge schema {fact.silver_table} shows them.", **told}
    details = {"schema_changes": fact.schema_changes[:100]}
    return Alert(
        kind="drift", table=fact.bronze_table, run_id=fact.run_id, title=_short(title), details=details, **told
    )


def quarantine(fact: SilverRefined, **told: str) -> Alert:
    """Rows of a batch were kept out of silver."""
    title = f"silver.{fact.silver_table}: {fact.quarantined:,} rows are in quarantine"
    broken = [figure.rule for figure in fact.quality if figure.failed and figure.severity == "quarantine"]
    details = {"rows": fact.quarantined, "rules": broken[:100]}
    told = {"remedy": f"flowforge quality {fact.silver_table} shows which and why.", **told}
    return Alert(kind="quarantine", table=fact.bronze_table, run_id=fact.run_id, title=title, details=details, **told)


def nothing_new(table: str, since: str, hours: int, **told: str) -> Alert:
    """A table has got no rows for longer than is usual."""
    title = f"{table} has got no new rows for {hours} hours, since {since}"
    told = {
        "remedy": "See whether its loads run (flowforge status, flowforge schedules list) and its source is alive.",
        **told,
    }
    return Alert(kind="nothing-new", table=table, title=title, details={"since": since, "hours": hours}, **told)


def trial(alert_id: str, at: str, bucket: str) -> Alert:
    """What a person sends to see whether a receiver takes it."""
    title = "A test: alerts of FlowForge arrive here"
    return Alert(id=alert_id, kind="test", at=at, bucket=bucket, table="", title=title)


def slack_text(alert: Alert) -> dict[str, str]:
    """An alert as an incoming webhook of Slack takes it; what its markup means something to is escaped as Slack says."""
    lines = [f"*{_escaped(alert.kind)}*  {_escaped(alert.title)}"]
    lines += [_escaped(text) for text in (alert.cause, alert.remedy) if text]
    lines += [f"run {_escaped(alert.run_id)}"] if alert.run_id else []
    return {"text": "\n".join(lines)}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
