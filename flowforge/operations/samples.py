"""What a person is shown of a table at the source: with the columns hidden that the lake has protected."""

from typing import Any

from flowforge.domain.alone import each_alone
from flowforge.domain.source_key import SourceKey
from flowforge.sources.registry import source_of
from flowforge.sources.target import Target
from flowforge.state.table import list_tables, read_state

HIDDEN = "(protected)"


def describe_table(target: Target, table: str, rows: int) -> dict[str, Any]:
    """A table with a preview of so many rows; of a column whose values a load of it protects, the preview has HIDDEN for each.

    Where the state of such a load cannot be read there is no preview. Raises what describing raises.
    """
    with source_of(target).session() as session:
        shown = session.show(table, rows)
    reference = target.reference
    own = SourceKey.of(reference, shown["schema"], shown["name"], "")
    keys = [item["sk"] for item in list_tables() if _is_of(item["sk"], own)]
    done, failed = each_alone(keys, lambda key: read_state(key).scope)
    protected = {name: how for _, scope in done if scope for name, how in scope.protected.items()}
    columns = [_told(column, protected) for column in shown["columns"]]
    preview = shown["preview"]
    values = [] if failed else [_hidden(preview["columns"], row, protected) for row in preview["rows"]]
    return shown | {"columns": columns, "preview": {"columns": preview["columns"], "rows": values}}


def _told(column: dict[str, Any], protected: dict[str, str]) -> dict[str, Any]:
    how = protected.get(column["name"])
    return column | ({"protected": how} if how else {})


def _is_of(text: str, own: SourceKey) -> bool:
    """Whether a stored key is of the table, into whatever bronze table, and however a request has spelt its database."""
    try:
        key = SourceKey.parse(text)
    except ValueError:
        return False
    named = (key.host, key.port, key.database.lower(), key.schema, key.table)
    return named == (own.host, own.port, own.database.lower(), own.schema, own.table)


def _hidden(names: list[str], row: list[Any], protected: dict[str, str]) -> list[Any]:
    return [
        HIDDEN if name in protected and value is not None else value for name, value in zip(names, row, strict=True)
    ]
