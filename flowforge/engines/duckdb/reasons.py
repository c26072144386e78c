"""What may be told of DuckDB's refusals: its own words where they are about the text, no value where they are about a row."""

import re

import duckdb

ABOUT_TEXT = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
LONGEST = 1000
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,:\-]*")
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


def reason(error: duckdb.Error) -> str:
    """DuckDB's message without the excerpt of the text; one about a row repeats values, which are left out."""
    text = str(error).strip()
    if isinstance(error, ABOUT_TEXT):
        lines = text.partition("LINE ")[0].splitlines()
        return " ".join(line.strip() for line in lines if line.strip())[:LONGEST]
    return _VALUES.sub("…", text.splitlines()[0])[:LONGEST]


def line_named(error: duckdb.Error) -> int | None:
    """The line (from 1) of the text that DuckDB points at."""
    found = _LINE.search(str(error))
    return int(found[1]) if found else None
