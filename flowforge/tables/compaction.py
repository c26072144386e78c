"""Compaction: the small files of a table become few large ones, in one commit that changes no row.

delta-rs' own `optimize.compact` is not used: of two that run at once both go through (1.6.6), each adds its file, and every row
is there twice. Here one commit swaps the files on the very version that was read (`LakeTable.swap`); any other commit in between
(a merge, another compaction) makes it fail, and it starts again from what is there then.

Guarantees: rows, columns and types stay.
"""

from flowforge.engines.base import TARGET_BYTES
from flowforge.engines.registry import ENGINE
from flowforge.tables.base import UPKEEP, LakeTable, once
from flowforge.tables.lake import commit, open_table
from flowforge.tables.rows import rows_query, write_files

SMALL_BYTES = TARGET_BYTES // 4
MOST_BYTES = 1024 * 1024 * 1024  # rewritten by one commit: an attempt that loses is not long


def small_files(table: LakeTable) -> dict[str, int]:
    """The files that are worth merging with others: path below the table -> bytes."""
    return {file.path: file.size for file in table.data_files() if file.size < SMALL_BYTES}


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
        with ENGINE.session() as session:
            rows = rows_query(session, table, [f"{uri}/{path}" for path in chosen])
            new = write_files(session, table, rows)
        table.swap(chosen, new, once(metadata={UPKEEP: "compaction"}), changes_rows=False)
        return len(chosen)

    return commit(name, attempt)


def _at_most(files: dict[str, int]) -> dict[str, int]:
    chosen, total = {}, 0
    for path, size in files.items():
        if total + size > MOST_BYTES:
            break
        chosen[path], total = size, total + size
    return chosen
