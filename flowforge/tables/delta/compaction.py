"""Compaction: the small files of a Delta table become few large ones, in one commit that changes no row.

delta-rs' own `optimize.compact` is not used: of two that run at once both go through (1.6.6), each adds its file, and every row
is there twice. Here one commit swaps the files on the very version that was read (see `rewriting`); any other commit in between
(a merge, another compaction) makes it fail, and it starts again from what is there then.

Guarantees: rows, columns and types stay.
"""

from deltalake import DeltaTable

from flowforge.engines.duckdb.storage import duckdb_connection
from flowforge.tables.delta.rewriting import TARGET_BYTES, swap, write_files
from flowforge.tables.delta.tables import UPKEEP, commit, once, open_table, rows_query

SMALL_BYTES = TARGET_BYTES // 4
MOST_BYTES = 1024 * 1024 * 1024  # rewritten by one commit: an attempt that loses is not long


def small_files(table: DeltaTable) -> dict[str, int]:
    """The files that are worth merging with others: path below the table -> bytes."""
    actions = table.get_add_actions(flatten=True)
    sizes = zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True)
    return {path: size for path, size in sizes if size < SMALL_BYTES}


def compact(name: str, uri: str, least_files: int) -> int:
    """Merges the small files of a table, if it has at least `least_files` of them; returns how many went.

    Raises StoreUnavailable when S3 fails or the table is too busy.
    """

    def attempt() -> int:
        table = open_table(uri)
        if table is None:
            return 0
        chosen = _at_most(small_files(table))
        if len(chosen) < max(2, least_files):
            return 0
        with duckdb_connection() as connection:
            rows = rows_query(connection, table, [f"{uri}/{path}" for path in chosen])
            new = write_files(connection, table, rows)
        swap(table, chosen, new, once(metadata={UPKEEP: "compaction"}), changes_rows=False)
        return len(chosen)

    return commit(name, attempt)


def _at_most(files: dict[str, int]) -> dict[str, int]:
    chosen, total = {}, 0
    for path, size in files.items():
        if total + size > MOST_BYTES:
            break
        chosen[path], total = size, total + size
    return chosen
