# ruff: noqa: S608 - SQL text of quoted names; values are parameters
"""Whose rows are erased: values of columns, compared as silver compares keys.

Guarantees: a value is in no text that is shown, logged or stored: it goes to the engine as a parameter, and an error names its
column alone. A value that its column's type does not hold exactly is refused, as it could stand for another row.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from flowforge.silver.plan import RefinePlan

WANTED = "_flowforge_erased"  # a table of one row: the values, in the forms that keys are compared by
GIVEN = "_flowforge_given"  # the same as they are written
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
NUMBERS = ("tinyint", "smallint", "int", "integer", "bigint", "decimal", "numeric", "money", "smallmoney")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Subject:
    """The values by column of silver, as a person writes them, with the columns' types there and the plan that compares them."""

    values: Mapping[str, str]
    types: Mapping[str, str]
    plan: RefinePlan

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
        for name, value in zip(self.types, found, strict=True):
            if value is None or not _is_exact(self.types[name], self.values[name], value):
                raise Fatal(f"the value that is given for {name} is no {self.types[name]}", WRITE)

    def condition(self, columns: Mapping[str, str]) -> str | None:
        """The condition for rows in columns of these types (of a session that is prepared); None where a column is missing."""
        if not set(self.types) <= set(columns):
            return None
        wanted = [
            f"{self._form(name, kind, _fitting(identifier(name), columns[name], kind))} = "
            f"(SELECT {identifier(name)} FROM {WANTED})"
            for name, kind in self.types.items()
        ]
        return f"coalesce({' AND '.join(wanted)}, false)"

    def is_like(self, parts: Iterable[str]) -> bool:
        """Whether one of these texts may be one of the values; for what may go without harm."""
        wanted = {_loose(value) for value in self.values.values()}
        return any(_loose(part) in wanted for part in parts)

    def texts(self) -> list[re.Pattern[str]] | None:
        """Patterns that are all found in the text of a record of the person; None where a value may be written in many ways."""
        found = list[re.Pattern[str]]()
        for name, kind in self.types.items():
            value = self.values[name].strip()
            if kind == "VARCHAR":
                ways = {value, value.replace('"', '""'), _escaped(value)}
                inner = "|".join(re.escape(way) for way in sorted(ways, key=len, reverse=True))
                found.append(re.compile(rf"(?<!\w)(?:{inner})(?!\w)", re.IGNORECASE))
            elif kind in WHOLE:
                found.append(re.compile(rf"(?<![\w.])0*{abs(int(value))}(?:\.0*)?(?!\w)"))
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
        told = "columns of its key" if plan.key else "its columns"
        raise Fatal(f"{name}: {', '.join(unknown)} is none of {told}", f"name one or more of {', '.join(own.values())}")
    if not asked:
        raise Fatal(f"{name}: whose rows?", f"give --key COLUMN=VALUE, of {', '.join(own.values())}")
    kept = {column: _as_kept(column, value, newest) for column, value in asked.items()}
    return Subject(kept, {column: types[column] for column in kept}, plan)


def _as_kept(name: str, value: str, batch: Batch) -> str:
    """The value as bronze has it: hashed by the key, where the column is protected so."""
    column = next((one for one in given(batch.manifest).columns if one.name == name), None)
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

    known: Any = value
    if _type_at_source(column, batch).partition("(")[0] in NUMBERS:
        known = Decimal(_given(name, "number", value))
    return hashed(canonical(known), keys_of([column])[column.protection.secret])


def _type_at_source(column: SourceColumn, batch: Batch) -> str:
    """The type before the column was protected, which alone tells how its values were written."""
    read = batch.command.source
    if isinstance(read, SourceFiles):
        return next((one.type for one in read.contract.columns if one.name == column.name), "")
    return column.sql_type.lower()


def _given(name: str, kind: str, value: str) -> str:
    if kind in WHOLE or kind.startswith("DECIMAL"):
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
    return DAY.fullmatch(text.strip()) is not None if kind == "DATE" else True


def _fitting(column: str, own: str, kind: str) -> str:
    """A column in the type of silver's; NULL for a value that this type has not."""
    stored = column if stored_type(own) == own else f"CAST({column} AS {stored_type(own)})"
    if stored_type(own) == kind:
        return stored
    there = f"TRY_CAST({stored} AS {kind})"
    return f"CASE WHEN TRY_CAST({there} AS {stored_type(own)}) = {stored} THEN {there} END"


def _loose(text: str) -> str:
    plain = str(text).strip().casefold()
    try:
        return f"{Decimal(plain).normalize():f}"
    except InvalidOperation:
        return plain


def _escaped(value: str) -> str:
    import json

    return json.dumps(value)[1:-1]
