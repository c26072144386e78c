"""Personal data: what becomes of a column's values before a byte of them is written.

    null         NULL
    hmac         HMAC-SHA256 of the value's canonical text, in hexadecimal digits; equal values become equal ones, so joins hold
    partial(n)   all but the last n characters become *; all of them, where there are no more than n
    bucket       of a date or time: the first day of its year
    bucket(n)    of a number: the next multiple of n towards zero

The canonical text is the value in one form whatever its type, so that a number and its text agree: a text without blanks at its
end, a number without zeros that say nothing (10.50 is 10.5), true and false as 1 and 0, `2024-01-31`, `2024-01-31 10:00:00.5`
(of an instant in UTC), bytes as they are. Letters count as they are written. NULL stays NULL.

Guarantees: bronze and all behind it see protected values alone; a key or cursor is never protected; no error holds a value.
"""

import hashlib
import hmac
from collections.abc import Sequence

from events.targets import SourceFiles, SourceTable
from flowforge.aws.secrets import read_hmac_key
from flowforge.domain.column_types import parse_type
from flowforge.domain.errors import ScopeChanged, UnknownColumn, UnsupportedSource
from flowforge.domain.source_columns import Protection, SourceColumn

WHOLE = ("smallint", "integer", "bigint")
MOMENTS = ("date", "timestamp", "timestamp with zone")
FITTING = {
    "hmac": ("text", "json", "bytes", "boolean", "decimal", *WHOLE, *MOMENTS),
    "partial(": ("text", *WHOLE),
    "bucket": MOMENTS,
    "bucket(": ("decimal", *WHOLE),
}
ID_OF = b"flowforge: which key is it"  # what a key's id is the HMAC of


def protected_columns(
    columns: Sequence[SourceColumn], wanted: SourceTable | SourceFiles, needed: Sequence[str], where: str
) -> list[SourceColumn]:
    """The columns as they are written; `needed` are keys and cursors. A column derived from a protected one is left out.

    Raises UnknownColumn, UnsupportedSource for a column whose values are needed or do not fit, what reading the key raises.
    """
    field = setting_of(wanted)
    asked = {name.lower(): how for name, how in wanted.protect.items() if how != "drop"}
    missing = sorted(set(asked) - {column.name.lower() for column in columns})
    if missing:
        raise UnknownColumn(f"{where}: {field} names {', '.join(missing)}, which is not read", "name columns that are")
    for name in needed:
        if name.lower() in asked:
            raise UnsupportedSource(
                f"{where}: {field} names {name!r}, which is a key or a cursor: it is compared with the source",
                "leave it out of protect, or load a view that has another key",
            )
    secret = wanted.protection_key if "hmac" in asked.values() else ""
    key_id = id_of(read_hmac_key(secret)) if secret else ""
    found = []
    for column in columns:
        how = asked.get(column.name.lower())
        if column.of is None or column.of.lower() not in asked:
            found.append(_protected(column, how, secret, key_id, f"{where}: {field}") if how else column)
    return found


def setting_of(wanted: SourceTable | SourceFiles) -> str:
    """What a request calls the setting."""
    return "databaseConfig.protect" if isinstance(wanted, SourceTable) else "fileConfig.protect"


def dropped_columns(wanted: SourceTable | SourceFiles) -> set[str]:
    """The columns that are to be left out, in small letters."""
    return {name.lower() for name, how in wanted.protect.items() if how == "drop"}


def id_of(key: bytes) -> str:
    """What tells a key from others, and nothing of the key."""
    return hmac.digest(key, ID_OF, hashlib.sha256).hex()[:16]


def keys_of(columns: Sequence[SourceColumn]) -> dict[str, bytes]:
    """The keys that columns are protected by, by secret. Raises ScopeChanged where a secret holds another key than it did."""
    known = {(c.protection.secret, c.protection.key_id) for c in columns if c.protection and c.protection.secret}
    keys = {secret: read_hmac_key(secret) for secret, _ in known}
    for secret, key_id in known:
        if id_of(keys[secret]) != key_id:
            raise ScopeChanged(
                f"the secret {secret!r} holds another key than the one that the batch was begun with ({key_id})",
                "Put that key back; or load the table anew, as after any change of protect.",
            )
    return keys


def _protected(column: SourceColumn, how: str, secret: str, key_id: str, where: str) -> SourceColumn:
    kind = "".join(how.partition("(")[:2])
    fits = FITTING.get(kind)
    if fits is not None and parse_type(column.type).base not in fits:
        raise UnsupportedSource(
            f"{where}: {how} of {column.name!r}, which is {column.declared}",
            f"{how} is for columns of {', '.join(fits)}; null and drop are for all",
        )
    named = {"secret": secret, "key_id": key_id} if kind == "hmac" else {}
    changes = {"default": None, "constant": None, "protection": Protection(how=how, **named)}
    if kind in ("hmac", "partial("):
        changes |= {"type": "text", "collation": None, "padded": False, "code_page": False}
    return column.model_copy(update=changes | ({"nullable": True} if how == "null" else {}))
