"""The commands of runs that are accepted and not queued yet: what the sweeper needs when the submitting worker dies in between.

They are written before the run is opened and deleted once the queue has them all. A set that is not whole belongs to a run that
nobody was told of, or that is queued: it is worth nothing. No password is inside, a command holds a reference.
"""

import base64
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from events.commands import IngestTable
from flowforge.aws import items
from flowforge.domain.alone import each_alone
from flowforge.runtime.settings import settings

CHARACTERS_PER_ITEM = 300_000  # an item holds at most 400 KB; the commands of a thousand tables, much alike, take 32 KB
UNQUEUED = "unqueued"


def keep(run_id: str, commands: Sequence[IngestTable]) -> None:
    """Keeps a run's commands until `forget`; the first part goes last, so that who finds it finds the others."""
    text = "\n".join(command.model_dump_json() for command in commands)
    packed = base64.b85encode(zlib.compress(text.encode(), 6)).decode()
    parts = [packed[start : start + CHARACTERS_PER_ITEM] for start in range(0, len(packed), CHARACTERS_PER_ITEM)]
    for n, part in reversed(list(enumerate(parts))):
        item = {"pk": run_id, "sk": _part(n), "commands": part, "parts": len(parts)}
        if n == 0:
            item |= {UNQUEUED: UNQUEUED, "accepted_at": _at(datetime.now(UTC))}
        items.put(settings().runs_table, item)


def waiting(idle_seconds: float) -> list[str]:
    """The ids of runs whose commands have been kept for longer than `idle_seconds`, oldest first."""
    before = _at(datetime.now(UTC) - timedelta(seconds=idle_seconds))
    options = {"IndexName": "unqueued-runs", "ExpressionAttributeNames": {"#u": UNQUEUED}}
    values = {":u": UNQUEUED, ":before": before}
    found = items.query(settings().runs_table, "#u = :u AND accepted_at < :before", values, **options)
    return [item["pk"] for item in found]


def take_turn(run_id: str) -> None:
    """Puts a run behind all others that wait."""
    key, values = {"pk": run_id, "sk": _part(0)}, {":now": _at(datetime.now(UTC))}
    items.update(settings().runs_table, key, "SET accepted_at = :now", values, "attribute_exists(pk)")


def kept(run_id: str) -> tuple[list[IngestTable], bool]:
    """The commands of a run, none where they are not whole; and whether all that is there can be read."""
    condition, values = "pk = :pk AND begins_with(sk, :part)", {":pk": run_id, ":part": "COMMANDS#"}
    parts = list(items.query(settings().runs_table, condition, values))
    if not parts or len(parts) != parts[0]["parts"]:
        return [], True
    try:
        packed = "".join(part["commands"] for part in parts)
        lines = zlib.decompress(base64.b85decode(packed)).decode().split("\n")
    except (ValueError, TypeError, KeyError, zlib.error):
        return [], False
    done, failed = each_alone(lines, IngestTable.model_validate_json)
    return [command for _, command in done], not failed


def set_aside(run_id: str) -> None:
    """Keeps what cannot be read, out of the sweeper's sight."""
    key = {"pk": run_id, "sk": _part(0)}
    items.update(settings().runs_table, key, "REMOVE #u", {}, "attribute_exists(pk)", u=UNQUEUED)


def forget(run_id: str) -> None:
    """Deletes what is kept of a run, the part that is found last."""
    first = items.get(settings().runs_table, {"pk": run_id, "sk": _part(0)})
    for n in reversed(range(first["parts"] if first else 1)):
        items.delete(settings().runs_table, {"pk": run_id, "sk": _part(n)})


def _part(number: int) -> str:
    return f"COMMANDS#{number:04d}"


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
