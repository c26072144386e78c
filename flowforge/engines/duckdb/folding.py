"""Values as their source compares them: the SQL by which DuckDB gives equal ones the same form.

Where the source pads the shorter of two values (`SourceColumn.padded`; SQL Server does), a text loses the blanks at its end and
what its collation does not count (`collations`), and bytes lose the zeros at their end. What an exact derived column tells is
zero where it is not known. The form of a text is its capitals, so most codes are their own. Guarantees: pure; NULL stays NULL;
a value that has its form already keeps it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.collations import EVERYTHING, MOST_COMMON, Sensitivity, sensitivity
from flowforge.engines.duckdb.sql import literal

FLOATS = {"real": "FLOAT", "double": "DOUBLE"}
TEXT, BINARY, COUNT = "VARCHAR", "BLOB", "SMALLINT"  # the types that folds are for


@dataclass(frozen=True)
class Fold:
    """How values of one column are compared: `kind` is the DuckDB type that it is for, `found` what its collation says."""

    kind: str
    found: Sensitivity = EVERYTHING

    def sql(self, value: str) -> str:
        """The common form of a value, given as an SQL expression."""
        if self.kind == COUNT:
            return f"coalesce({value}, 0)"
        if self.kind in FLOATS.values():  # -0.0 is 0.0
            return f"({value} + 0)"
        if self.kind == BINARY:  # whole bytes: a zero byte is two digits, and their number is even
            return f"unhex(regexp_replace(hex({value}), '(00)+$', ''))"
        return _text(value, self.found)


def folds_of(columns: Iterable[SourceColumn]) -> dict[str, Fold]:
    """The folds of those columns that need one, by name."""
    found = {column.name: fold_of(column) for column in columns}
    return {name: fold for name, fold in found.items() if fold is not None}


def fold_of(column: SourceColumn) -> Fold | None:
    """How a column's values are compared; None where equal values look the same."""
    if column.derivation == "digit":
        return Fold(COUNT)
    if column.type in FLOATS:
        return Fold(FLOATS[column.type])
    if column.type == "bytes" and column.padded:
        return Fold(BINARY)
    if column.type == "text" and column.padded and column.derivation is None:
        return Fold(TEXT, sensitivity(column.collation, is_unicode(column)))
    return None


def is_unicode(column: SourceColumn) -> bool:
    """Whether a text column is compared as Unicode, not by the table of a code page."""
    return not column.code_page or (column.collation or "").upper().endswith("_UTF8")


def key_of_macro() -> str:
    """The statement that makes `key_of(text)`: the form that a `_CI_AS` collation compares by."""
    return f"CREATE OR REPLACE MACRO key_of(x) AS {_text('x', MOST_COMMON)}"


def _text(value: str, found: Sensitivity) -> str:
    trimmed = f"CASE WHEN ends_with({value}, ' ') THEN rtrim({value}, ' ') ELSE {value} END"
    if found.exact:
        return trimmed
    images = found.images()
    mapped = f"translate({trimmed}, {literal(''.join(images))}, {literal(''.join(images.values()))})"
    if not found.dotless:
        plain = f"upper({trimmed})" if found.case else trimmed
        mapped = f"CASE WHEN strlen({value}) = length({value}) THEN {plain} ELSE {mapped} END"
    if found.one_case:
        mixed = f"regexp_matches({value}, '\\p{{Lu}}') AND regexp_matches({value}, '\\p{{Ll}}')"
        mapped = f"CASE WHEN {mixed} THEN {trimmed} ELSE {mapped} END"
    return f"({mapped})"
