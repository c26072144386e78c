"""Templates that people have saved: what a list shows of each, and its request, in an item of its own.

Guarantees: both are written at once, so a template that is listed has a request.
"""

from typing import Any

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.errors import StoreUnavailable, unreadable
from flowforge.runtime.settings import settings

REGISTER, REQUEST = "TEMPLATES", "TEMPLATE_REQUESTS"


def keep(name: str, head: dict[str, Any], request: dict[str, Any]) -> None:
    """Writes a template in place of the one before. Raises TooLarge, and StoreUnavailable."""
    table = settings().schedules_table
    written = ({**_key(REGISTER, name), "head": pack(head)}, {**_key(REQUEST, name), "document": pack(request)})
    if not items.transact([items.put_action(table, item) for item in written]):
        raise StoreUnavailable(f"template {name!r} is being saved by somebody else", "Save it again.")


def find(name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What is shown of a template, and its request; None where nobody has saved one of that name. Raises UnreadableRecord."""
    keys = [_key(REGISTER, name), _key(REQUEST, name)]
    head, request = items.get_many(settings().schedules_table, keys)
    if head is None or request is None:
        return None
    return _read(head, "head"), _read(request, "document")


def stored(most: int, behind: str | None = None) -> list[dict[str, Any]]:
    """What is shown of at most so many templates, in the order of their names, behind one of them. Raises UnreadableRecord."""
    options: dict[str, Any] = {"Limit": most}
    if behind:
        options["ExclusiveStartKey"] = items.encode(_key(REGISTER, behind))
    found = items.query(settings().schedules_table, "pk = :pk", {":pk": REGISTER}, **options)
    return [_read(item, "head") for item in found]


def remove(name: str) -> bool:
    """Removes a template, both parts at once, so that one saved meanwhile keeps its own; False where there is none. Raises
    StoreUnavailable."""
    table = settings().schedules_table
    if items.get(table, _key(REGISTER, name)) is None:
        return False
    if not items.transact([items.delete_action(table, _key(kind, name)) for kind in (REGISTER, REQUEST)]):
        raise StoreUnavailable(f"template {name!r} is being saved by somebody else", "Look at it, and remove it again.")
    return True


def _read(item: items.Item, field: str) -> dict[str, Any]:
    try:
        return dict(unpack(item[field]))
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(f"template {item['sk']!r}", error, "Save it again, which writes it anew.") from error


def _key(kind: str, name: str) -> items.Item:
    return {"pk": kind, "sk": name}
