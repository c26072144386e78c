# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Merges rows into a table by rewriting the files that they touch, some at a time.

Pass 1 compares the table's identities with those of the arriving rows, and records the file, row number and action of each
matching row. Pass 2 writes the touched files anew, in portions of about one file; one commit swaps them. Memory follows from the
arriving rows and one portion, not from the table. The rows of a file stay together, so that the next merge can pass by files.
Arriving rows that do not fit in memory are read again for each pass, and all touched files are one portion.

Guarantees: one Delta commit holds all of it, or nothing is changed. A row without a match keeps its values, and a file without a
changed row stays as it is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowforge.domain.given import given
from flowforge.engines.base import TARGET_BYTES, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.tables.base import Commit, DataFile, LakeTable, NewFile
from flowforge.tables.merge_rules import MARKED, REMOVED, REPLACED, STAYS, Arriving, Rules
from flowforge.tables.rows import column_types, placed_rows, write_files

ROW_ACTIONS, KEPT = "row_actions", "_flowforge_kept_"
ORDERED = ("SMALLINT", "INTEGER", "BIGINT", "DATE")  # types whose bounds in the log are exact, whoever has written them


class Merge:
    """One merge of rows into a table on one connection, whose temporary tables hold what was found.

    `identity`: column -> whether it may be NULL; no two arriving rows have the same. `forms` are those of its columns that the
    table lacks, as SQL over the table's; a row that takes another's place keeps its `kept` columns then.
    """

    def __init__(
        self,
        connection: Session,
        table: LakeTable,
        arriving: Arriving,
        identity: dict[str, bool],
        rules: Rules,
        forms: Mapping[str, str] | None = None,
        kept: Sequence[str] = (),
    ):
        self._connection, self._table, self._identity, self._rules = connection, table, identity, rules
        self._forms = forms or {}
        self._uri = table.uri
        self._types = column_types(connection, table)
        self._kept = [name for name in kept if self._forms and name in self._types]
        self._columns = ", ".join(map(identifier, self._types))
        self._arriving, self._holds, self._row_actions = (
            arriving.name,
            arriving.is_held,
            arriving.row_actions or arriving.name,
        )
        self._placed: dict[tuple[str, ...], str] = {}
        self._files = self._within_reach()
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {ROW_ACTIONS} AS {self._find()}")
        if self._forms and rules.one_row:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {ROW_ACTIONS} AS {self._of_one_row(rules.one_row)}")
        counted = f"SELECT _flowforge_action, _flowforge_file, count(*) FROM {ROW_ACTIONS} GROUP BY ALL"
        self._counts, touched = Counter[str](), set[int]()
        for action, place, rows in connection.execute(counted).fetchall():
            self._counts[action] += rows
            touched.update([place] if action != STAYS else [])
        self._touched = sorted(touched)
        self._replaces = self.count(REPLACED) > 0

    def count(self, action: str) -> int:
        """Rows of the table with this action."""
        return self._counts[action]

    def count_added(self) -> int:
        """Arriving rows that the table lacks."""
        return self._one(f"SELECT count(*) FROM ({self._added()})")[0]

    def commit(self, added: int, properties: Commit) -> int:
        """Rewrites the touched files, writes the `added` rows, and commits; returns the rows of the table's new version.

        Raises Moved when anybody else has committed since the table was opened.
        """
        portions = list(self._portions())
        new: list[NewFile] = []
        for number, portion in enumerate(portions, 1):
            query = self._rewritten(portion)
            if added and number == len(portions) and self._has_room(portion, added):
                query, added = f"{query} UNION ALL BY NAME {self._added()}", 0
            new += write_files(self._connection, self._table, query, few=True)
        if added:
            new += write_files(self._connection, self._table, self._added(), few=True)
        old = [self._files[place] for portion in portions for place in portion]
        self._table.swap([file.path for file in old], new, properties)
        return self._table.count() - sum(file.rows for file in old) + sum(file.rows for file in new)

    def _within_reach(self) -> list[DataFile]:
        """The files that may hold a row with a match, or one that the rules end for want of a match."""
        identity = {name: self._types[name] for name in self._identity if name not in self._forms}
        files = self._table.data_files(name for name, kind in identity.items() if kind in ORDERED)
        if self._rules.on_missing is not None:
            return files
        for name, kind in identity.items():
            if kind in ORDERED and not self._identity[name]:  # NULLs have no place in a range
                column = identifier(name)
                least, most = self._one(f"SELECT min({column}), max({column}) FROM {self._row_actions}")
                files = [file for file in files if file.may_hold(name, least, most)]
        return files

    def _find(self) -> str:
        """Place, action and identity of each row of the table that has a match or does not stay."""
        action, join = self._rules.on_match, "JOIN"
        if self._rules.on_missing is not None:
            action, join = f"CASE WHEN s._flowforge_met THEN {action} ELSE {self._rules.on_missing} END", "LEFT JOIN"
        enum = f"ENUM ('{REPLACED}', '{REMOVED}', '{MARKED}', '{STAYS}')"
        items = [identifier(name, "t") for name in self._identity]
        items += [f"{value} AS {identifier(name)}" for name, value in self._rules.noted.items()]
        items += [f"{identifier(name, 't')} AS {identifier(KEPT + name)}" for name in self._kept]
        shown, rows, same = ", ".join(items), self._with_forms(self._files), self._same("t")
        return f"""
            WITH arriving_keys AS (
                SELECT *, true AS _flowforge_met
                FROM {self._row_actions}
            ),
            found AS (
                SELECT t._flowforge_file, t._flowforge_row, {shown},
                    coalesce(s._flowforge_met, false) AS _flowforge_met,
                    ({action})::{enum} AS _flowforge_action
                FROM {rows} t
                {join} arriving_keys s ON {same}
            )
            SELECT * FROM found
            WHERE _flowforge_met OR _flowforge_action <> '{STAYS}'"""

    def _of_one_row(self, newest_first: str) -> str:
        """The actions where several rows of the table turn out to be one: the newest has its own, the others go."""
        names = ", ".join(map(identifier, self._identity))
        return f"""
            SELECT * REPLACE (
                CASE WHEN _flowforge_met AND row_number() OVER newest > 1 THEN '{REMOVED}' ELSE _flowforge_action END
                AS _flowforge_action)
            FROM {ROW_ACTIONS}
            WINDOW newest AS (PARTITION BY {names} ORDER BY {newest_first}, _flowforge_file, _flowforge_row)"""

    def _with_forms(self, files: Iterable[DataFile]) -> str:
        rows = self._rows_of(files)
        made = "".join(f", {value} AS {identifier(name)}" for name, value in self._forms.items())
        return f"(SELECT *{made} FROM {rows})" if made else rows

    def _same(self, other: str) -> str:
        return " AND ".join(
            f"{identifier(name, other)} {'IS NOT DISTINCT FROM' if nullable else '='} {identifier(name, 's')}"
            for name, nullable in self._identity.items()
        )

    def _rows_of(self, files: Iterable[DataFile]) -> str:
        wanted = list(files)
        paths = tuple(file.path for file in wanted)  # most often those of the first pass again
        if paths not in self._placed:
            self._placed[paths] = placed_rows(self._connection, self._uri, wanted, self._types)
        return self._placed[paths]

    def _portions(self) -> Iterator[list[int]]:
        """Files that are rewritten together: positions in the list of files."""
        portion: list[int] = []
        size = 0
        for place in self._touched:
            if portion and self._holds and size + self._files[place].size > TARGET_BYTES:
                yield portion
                portion, size = [], 0
            portion.append(place)
            size += self._files[place].size
        if portion:
            yield portion

    def _has_room(self, portion: list[int], added: int) -> bool:
        """Whether the added rows may go into the portion's file."""
        files = [self._files[place] for place in portion]
        size, rows = sum(file.size for file in files), sum(file.rows for file in files)
        return not self._holds or size + added * size / max(1, rows) <= TARGET_BYTES

    def _rewritten(self, portion: list[int]) -> str:
        places = ", ".join(f"({place}, {number})" for number, place in enumerate(portion))
        here = f"""
            SELECT f.*, p._flowforge_number
            FROM {ROW_ACTIONS} f
            JOIN (VALUES {places}) p(_flowforge_file, _flowforge_number) USING (_flowforge_file)"""
        files = self._rows_of(self._files[place] for place in portion)
        moved = f"""({here} WHERE _flowforge_action <> '{STAYS}') f
            ON t._flowforge_file = f._flowforge_number AND t._flowforge_row = f._flowforge_row"""
        query = f"""
            SELECT {self._columns}
            FROM {files} t
            ANTI JOIN {moved}"""
        if self._rules.marks:  # the files are read once for the rows that stay and those that are marked
            query = f"""
            SELECT {self._with_marks()}
            FROM {files} t
            LEFT JOIN {moved}
            WHERE f._flowforge_action IS NULL OR f._flowforge_action = '{MARKED}'"""
        if self._replaces:
            met = f"({here} WHERE _flowforge_action = '{REPLACED}') f ON {self._same('f')}"
            query = f"""{query}
            UNION ALL BY NAME
            {self._replacing(met)}"""
        return query

    def _with_marks(self) -> str:
        """The table's columns; those with a mark have it in the rows that an action was found for."""
        marks = {
            name: f"CASE WHEN f._flowforge_action IS NULL THEN t.{identifier(name)} ELSE {value} END"
            for name, value in self._rules.marks.items()
        }
        return ", ".join(f"{marks.get(name, identifier(name, 't'))} AS {identifier(name)}" for name in self._types)

    def _replacing(self, met: str) -> str:
        if not self._kept:
            return f"SELECT {self._columns} FROM {self._arriving} s SEMI JOIN {met}"
        items = ", ".join(
            f"coalesce({identifier(KEPT + name, 'f')}, {identifier(name, 's')}) AS {identifier(name)}"
            if name in self._kept
            else identifier(name, "s")
            for name in self._types
        )
        return f"SELECT {items} FROM {self._arriving} s JOIN {met}"

    def _added(self) -> str:
        if self._rules.adds_all:
            return f"SELECT {self._columns} FROM {self._arriving} s WHERE {self._rules.arrives}"
        return f"""
            SELECT {self._columns}
            FROM (SELECT * FROM {self._arriving} s WHERE {self._rules.arrives}) s
            ANTI JOIN (SELECT * FROM {ROW_ACTIONS} WHERE _flowforge_met) f ON {self._same("f")}"""

    def _one(self, query: str) -> tuple:
        return given(self._connection.execute(query).fetchone())


def with_nulls(connection: Session, arriving: Arriving, identity: dict[str, bool]) -> dict[str, bool]:
    """The identity with only those columns as nullable in which a row that arrives has NULL: others let files be passed by."""
    possible = [name for name, nullable in identity.items() if nullable]
    if not possible:
        return identity
    counts = ", ".join(f"count(*) - count({identifier(name)})" for name in possible)
    found = connection.execute(f"SELECT {counts} FROM {arriving.name}").fetchone()
    return identity | {name: count > 0 for name, count in zip(possible, given(found), strict=True)}
