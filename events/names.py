"""Names of tables: how a source table is written in a request, and which destination names are allowed.

Guarantees: a source name is only split here, never pasted into SQL (the catalog lookup binds it); a destination name can
never be a path. Default names may meet (dbo.sales_orders and sales.orders): within a request and by who owns a destination such a
load is refused.
"""

import hashlib
import re

DESTINATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}")
MAX_IDENTIFIER = 128  # characters, sysname in SQL Server


def split_table_name(name: str, default_schema: str = "dbo") -> tuple[str, str]:
    """Splits `table`, `schema.table` or `[schema].[table]` into (schema, table); `]]` inside brackets is one `]`.

    Raises ValueError when there are more than two parts, an empty part, or a bracket is left open.
    """
    parts, rest = [], name.strip()
    while rest:
        if rest.startswith("["):
            match = re.match(r"\[((?:[^\]]|\]\])*)\](?:\.|$)", rest)
            if not match:
                raise ValueError(
                    f"{name!r} has an open or misplaced bracket; write [schema].[table], with ] doubled inside"
                )
            part, rest = match[1].replace("]]", "]"), rest[match.end() :]
        else:
            part, _, rest = rest.partition(".")
        parts.append(part)
    if not 1 <= len(parts) <= 2 or not all(parts) or name.rstrip().endswith("."):
        raise ValueError(f"{name!r} is not table, schema.table or [schema].[table]")
    if any(len(part) > MAX_IDENTIFIER or "\x00" in part for part in parts):
        raise ValueError(f"{name[:40]!r}… is longer than {MAX_IDENTIFIER} characters or holds a NUL")
    return (parts[0], parts[1]) if len(parts) == 2 else (default_schema, parts[0])


def written_name(schema: str, table: str) -> str:
    """The name that `split_table_name` splits into these two: plain where it can be, else in brackets."""
    parts = [schema, table]
    plain = all(part and part == part.strip() and not set(part) & set(".[]") for part in parts)
    return ".".join(parts if plain else (f"[{part.replace(']', ']]')}]" for part in parts))


def plain_name(written: str) -> str:
    """`schema.table` without brackets, as state and events have it; a text that is no table's name stays as it is."""
    try:
        return ".".join(split_table_name(written))
    except ValueError:
        return written


def destination_stem(schema: str, table: str) -> str:
    """The default destination name of a source table: itself where it is plain, else made plain with a hash of the original."""
    whole = table if schema.lower() == "dbo" else f"{schema}_{table}"
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", whole).strip("_")[:100]
    if plain == whole:
        return plain
    digest = hashlib.sha256(f"{schema}.{table}".encode()).hexdigest()[:6]
    return f"{plain}_{digest}" if plain else f"table_{digest}"


def is_reserved(name: str) -> bool:
    """Whether a destination name is the lake's own: folders that begin with _ hold quarantine, records of models, Delta's log."""
    return name.startswith("_")


def strip_layer(name: str, layer: str) -> str:
    """`silver.customers` and `customers` name the same silver table."""
    return name.removeprefix(f"{layer}.")
