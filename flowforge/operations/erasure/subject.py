# ruff: noqa: S608 - SQL text of quoted names; values are parameters
"""Whose rows are erased: values of columns, compared as silver compares keys.

Guarantees: a value is in no text that is shown, logged or stored: it goes to the engine as a parameter, and an error names its
column alone. A value that its column's type does not hold exactly is refused, as it could stand for another row.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from events.targets import SourceFiles
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal
from flowforge.domain.given import given
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.base import EngineError, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.duckdb.types import stored_type
from flowforge.operations.erasure.spellings import is_cut, loose, readings, whole_number, words
from flowforge.silver.plan import RefinePlan

WANTED = "_flowforge_erased"  # a table of one row: the values, in the forms that keys are compared by
GIVEN = "_flowforge_given"  # the same as they are written
PLAIN = "_flowforge_plain"  # of columns that are hashed: the values before
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
NUMBERS = ("tinyint", "smallint", "int", "integer", "bigint", "decimal", "numeric", "money", "smallmoney")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Finer than microseconds is in a column of its own; a zone would be passed over by a column that has none.
TIME = re.compile(DAY.pattern + r"(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6}0*)?)?)?")
ZONE = r"\s*(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?"
MOMENTS = {"DATE": DAY, "TIMESTAMP": TIME, "TIMESTAMP WITH TIME ZONE": re.compile(TIME.pattern + ZONE)}


@dataclass(frozen=True)
class Subject:
    """The values by column of silver, as a person writes them, with the columns' types there and the plan that compares them.

    `plain` are values of columns that are hashed by now, as they were before; `numbers` those of them that are numbers.
    `abutting`: in the text of a record fields stand beside each other with nothing between.
    """

    values: Mapping[str, str]
    types: Mapping[str, str]
    plan: RefinePlan
    plain: Mapping[str, str] = field(default_factory=dict[str, str])
    numbers: frozenset[str] = frozenset()
    abutting: bool = False

    def prepare(self, session: Session) -> None:
        """Makes the values known to a session. Raises Fatal for a value that is none of its column's type."""
        typed = [f"{_read(kind)} AS {identifier(name)}" for name, kind in self.types.items()]
        forms = [
            f"{self._form(name, kind, identifier(name))} AS {identifier(name)}" for name, kind in self.types.items()
        ]
        values = [_given(name, self.types[name], self.values[name]) for name in self.types]
        try:
            session.execute(f"CREATE OR REPLACE TEMP TABLE {GIVEN} AS SELECT {', '.join(typed)}", values)
            found = given(session.execute(f"SELECT * FROM {GIVEN}").fetchone())
            session.execute(f"CREATE OR REPLACE TEMP TABLE {WANTED} AS SELECT {', '.join(forms)} FROM {GIVEN}")
        except EngineError:
            raise Fatal(f"a value of {', '.join(self.types)} is none of its column's type", WRITE) from None
        plain = ", ".join(f"?::VARCHAR AS {identifier(name)}" for name in self.plain)
        if plain:
            session.execute(f"CREATE OR REPLACE TEMP TABLE {PLAIN} AS SELECT {plain}", list(self.plain.values()))
        for name, value in zip(self.types, found, strict=True):
            if value is None or not _is_exact(self.types[name], self.values[name], value):
                raise Fatal(f"the value that is given for {name} is no {self.types[name]}", WRITE)

    def condition(self, columns: Mapping[str, str]) -> str | None:
        """The condition for rows in columns of these types (of a session that is prepared); None where a column is missing."""
        if not set(self.types) <= set(columns):
            return None
        return f"coalesce({' AND '.join(self._same(name, columns[name]) for name in self.types)}, false)"

    def _same(self, name: str, own: str) -> str:
        kind, column = self.types[name], identifier(name)
        same = f"{self._form(name, kind, _fitting(column, own, kind))} = (SELECT {column} FROM {WANTED})"
        if name not in self.plain:
            return same
        before = f"(SELECT {column} FROM {PLAIN})"
        if own == "VARCHAR":
            return f"({same} OR rtrim({column}) = rtrim({before}))"
        return f"({same} OR {column} = TRY_CAST({before} AS {own}))"

    def is_like(self, parts: Iterable[str]) -> bool:
        """Whether one of these texts may be one of the values; for what may go without harm."""
        wanted = {loose(value) for value in (*self.values.values(), *self.plain.values())}
        return any(loose(part) in wanted for part in parts)

    def is_in(self, raw: str) -> bool:
        """Whether the text of a record may be of the person: all values are found in it, or nobody can tell."""
        patterns = self._patterns()
        if patterns is None or is_cut(raw):
            return True
        return any(all(one.search(text) for one in patterns) for text in readings(raw))

    def _patterns(self) -> list[re.Pattern[str]] | None:
        """None where a value may be written in many ways."""
        found = list[re.Pattern[str]]()
        for name, kind in self.types.items():
            value = self.plain.get(name, self.values[name])
            if name in self.numbers or kind in WHOLE:
                if Decimal(value.strip()) % 1:
                    return None
                found.append(whole_number(value.strip(), self.abutting))
            elif kind == "VARCHAR":
                found.append(words(value, self.abutting))
            else:
                return None
        return found

    def _form(self, name: str, kind: str, value: str) -> str:
        fold = self.plan.folds.get(name)
        return fold.sql(f"({value})") if fold is not None and fold.kind == kind else value


WRITE = "write the value as the lake shows it: a time as 2026-01-31 10:00:00, bytes as 0x0A1B"


def subject_of(values: Mapping[str, str], types: Mapping[str, str], plan: RefinePlan, newest: Batch) -> Subject:
    """The subject in a table whose columns are `types`; `newest` is a batch of it, whose columns are protected as all are.

    Raises Fatal for a column that does not tell rows apart, is not there, or whose values are not kept.
    """
    name = f"silver.{newest.command.silver.table}"
    own = {column.lower(): column for column in (plan.key or plan.source)}
    asked = {own.get(column.lower(), column): value for column, value in values.items()}
    if unknown := sorted(set(asked) - set(own.values())):
        told = "the columns of its key" if plan.key else "its columns"
        raise Fatal(f"{name}: {', '.join(unknown)} is none of {told}", f"name one or more of {', '.join(own.values())}")
    if not asked:
        raise Fatal(f"{name}: whose rows?", f"give --key COLUMN=VALUE, of {', '.join(own.values())}")
    kept = {column: _as_kept(column, value, newest) for column, value in asked.items()}
    hashed_ones = {column: value for column, value in asked.items() if kept[column] != value}
    return Subject(
        kept,
        {column: types[column] for column in kept},
        plan,
        plain=hashed_ones,
        numbers=frozenset(name for name in hashed_ones if _is_number(name, newest)),
        abutting=_is_abutting(newest),
    )


def _is_abutting(batch: Batch) -> bool:
    read = batch.command.source
    return isinstance(read, SourceFiles) and read.contract.format == "fixed"


def _as_kept(name: str, value: str, batch: Batch) -> str:
    """The value as bronze has it: hashed by the key, where the column is protected so."""
    column = column_of(name, batch)
    if column is None or column.protection is None:
        return value
    if not column.protection.secret:
        raise Fatal(
            f"silver.{batch.command.silver.table}: the values of {name} are not kept ({column.protection.how}), "
            "so no row is found by them",
            "name another column",
        )
    from flowforge.sources.protected_reader import canonical, hashed
    from flowforge.sources.protection import keys_of

    known: Any = Decimal(_given(name, "number", value)) if _is_number(name, batch) else value
    return hashed(canonical(known), keys_of([column])[column.protection.secret])


def column_of(name: str, batch: Batch) -> SourceColumn | None:
    """A column as a batch has it."""
    return next((one for one in given(batch.manifest).columns if one.name == name), None)


def _is_number(name: str, batch: Batch) -> bool:
    column = column_of(name, batch)
    return column is not None and _type_at_source(column, batch).partition("(")[0] in NUMBERS


def _type_at_source(column: SourceColumn, batch: Batch) -> str:
    """The type before the column was protected, which alone tells how its values were written."""
    read = batch.command.source
    if isinstance(read, SourceFiles):
        return next((one.type for one in read.contract.columns if one.name == column.name), "")
    return column.sql_type.lower()


def _given(name: str, kind: str, value: str) -> str:
    if kind in WHOLE or kind.startswith("DECIMAL") or kind == "number":
        try:
            return f"{Decimal(value.strip()):f}"
        except InvalidOperation:
            raise Fatal(f"the value that is given for {name} is no {kind}", WRITE) from None
    return value


def _read(kind: str) -> str:
    """The expression that makes a value of a parameter."""
    if kind == "BLOB":
        return "(SELECT unhex(regexp_replace(t, '^0[xX]', '')) FROM (SELECT ?::VARCHAR AS t))"
    return "?::VARCHAR" if kind == "VARCHAR" else f"TRY_CAST(?::VARCHAR AS {kind})"


def _is_exact(kind: str, text: str, value: Any) -> bool:
    if kind in WHOLE or kind.startswith("DECIMAL"):
        return Decimal(text.strip()) == value
    return kind not in MOMENTS or MOMENTS[kind].fullmatch(text.strip()) is not None


def _fitting(column: str, own: str, kind: str) -> str:
    """A column in the type of silver's; NULL for a value that this type has not."""
    stored = column if stored_type(own) == own else f"CAST({column} AS {stored_type(own)})"
    if stored_type(own) == kind:
        return stored
    there = f"TRY_CAST({stored} AS {kind})"
    return f"CASE WHEN TRY_CAST({there} AS {stored_type(own)}) = {stored} THEN {there} END"
