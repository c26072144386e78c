"""What events tell of a run's tables, as the run shows it: an attribute of the table's item for each step.

Every step sets an attribute of its own, so events may come twice and in any order: the first that tells of a step stays, of a
failure the last. What a delivery has used (`state.run_usage`) goes with what its event tells.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from events import facts
from flowforge.aws import items
from flowforge.aws.compact import pack, shorten
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.figures import plain
from flowforge.runtime.settings import settings
from flowforge.state import run_steps, run_usage
from flowforge.state.expiry import EXPIRES_AT, expires_at
from flowforge.state.run_status import RANK

FAILED_AT = "failed_at"  # of a run's own item: a step was given up, maybe long mended
TOLD_BYTES = 45_000  # of what one step tells of a table: an item holds seven, and what each delivery has used
SEQ_BITS, SLICE_BITS = 40, 10  # of the rank of what is told of a run's slices
OF_LINEAGE = {"column_types", "models"}  # of events: large, and shown by nobody here
EXPIRY = f"SET {EXPIRES_AT} = :expires"

# By `run_steps.key_of`: the step where it is noted, None where its story is written, too.
Told = dict[tuple[str, str, str], run_steps.Step | None]


def record_ahead(told: Iterable[facts.TableEvent]) -> Told:
    """Writes down in few calls what several events tell together: the steps of a run in one, and what several events tell of one
    table in one. What is left, and what cannot be written now, is for `record`, which is given what this returns."""
    known = list(told)
    noted = run_steps.note_ahead(known)
    found: Told = dict(noted)
    by_table: dict[tuple[str, str], list[facts.TableEvent]] = {}
    for fact in known:
        if run_steps.key_of(fact) in noted and not isinstance(fact, facts.SlicesRead | facts.StepFailed):
            by_table.setdefault((fact.run_id, fact.bronze_table), []).append(fact)
    for those in by_table.values():
        if len(those) > 1:
            with suppress(FlowForgeError):  # `record` meets it again, for its own event
                _write([(fact, noted[run_steps.key_of(fact)]) for fact in those])
                found |= {run_steps.key_of(fact): None for fact in those}
    return found


def record(fact: facts.TableEvent, ahead: Told | None = None) -> None:
    """Writes down what an event says about its table, and what its delivery has used, in one call; and its step in another.
    What `record_ahead` has written is passed over."""
    key, known = run_steps.key_of(fact), ahead or {}
    if key in known and known[key] is None:
        return
    step = known.get(key) or run_steps.step_of(fact, datetime.now(UTC).isoformat(timespec="milliseconds"))
    if isinstance(fact, facts.SlicesRead):
        _record_progress(fact)
    elif isinstance(fact, facts.StepFailed):
        _record_failure(fact, step)
    else:
        _write([(fact, step)])
    if key not in known:
        run_steps.note(fact.run_id, [step])


def _key(fact: facts.TableEvent) -> items.Item:
    return {"pk": fact.run_id, "sk": f"TABLE#{fact.bronze_table}"}


def _write(told: list[tuple[facts.TableEvent, run_steps.Step]]) -> None:
    """Writes what events tell of one table; a step that is known stays as it is."""
    expression, names = EXPIRY, dict[str, str]()
    values: items.Item = {":expires": expires_at()}
    steps: dict[str, str] = {}
    for fact, step in told:
        steps.setdefault(step.step, _story(fact, step))
    for n, (name, text) in enumerate(steps.items()):
        expression += f", #s{n} = if_not_exists(#s{n}, :s{n})"
        names[f"s{n}"], values[f":s{n}"] = name, text
    for n, (name, text) in enumerate(_usage_of(fact for fact, _ in told).items()):
        expression += f", #u{n} = :u{n}"
        names[f"u{n}"], values[f":u{n}"] = name, text
    items.update(settings().runs_table, _key(told[0][0]), expression, values, **names)


def _story(fact: facts.TableEvent, told_of: run_steps.Step) -> str:
    told = json.loads(fact.model_dump_json(exclude=OF_LINEAGE | {"type", "usage"}))
    if isinstance(fact, facts.GoldPublished):
        told["quality"] = {model.table: plain(model.quality) for model in fact.models if model.quality}
    return pack(shorten(told | {"at": told_of.at}, TOLD_BYTES))


def _usage_of(told: Iterable[facts.TableEvent]) -> dict[str, str]:
    return dict(used for fact in told if (used := run_usage.attribute_of(fact.usage)) is not None)


def _record_failure(fact: facts.StepFailed, told_of: run_steps.Step) -> None:
    own = {"pk": fact.run_id, "sk": "RUN"}
    items.update(settings().runs_table, own, f"SET {FAILED_AT} = :at", {":at": told_of.at}, "attribute_exists(pk)")
    detail = fact.model_dump(include={"step", "error", "cause", "remedy", "attempts"}) | {"at": told_of.at}
    values = {":text": pack(shorten(detail, TOLD_BYTES)), ":expires": expires_at()}
    _update(fact, f"{EXPIRY}, #step = :text", values, None, step=told_of.step)


def _record_progress(fact: facts.SlicesRead) -> None:
    """Keeps the furthest that the newest batch of the run has come."""
    rank = ((fact.generation << SEQ_BITS | fact.seq) << SLICE_BITS) + fact.done
    text = json.dumps(fact.model_dump(include={"slices", "done", "records"}))
    values = {":text": text, ":rank": rank, ":expires": expires_at()}
    condition = f"attribute_not_exists({RANK}) OR {RANK} < :rank"
    _update(fact, f"{EXPIRY}, slices = :text, {RANK} = :rank", values, condition)


def _update(fact: facts.TableEvent, expression: str, values: items.Item, condition: str | None, **names: str) -> None:
    """Updates a table's item; what the delivery has used is kept also where the rest is known already."""
    table, key = settings().runs_table, _key(fact)
    used = run_usage.attribute_of(fact.usage)
    if used is None:
        items.update(table, key, expression, values, condition, **names)
        return
    usage, set_too = ", #usage = :usage", {":usage": used[1]}
    if not items.update(table, key, expression + usage, values | set_too, condition, usage=used[0], **names):
        items.update(table, key, EXPIRY + usage, set_too | {":expires": values[":expires"]}, usage=used[0])
