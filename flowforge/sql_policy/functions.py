"""Which functions users' SQL may call, by their names: the same judgement at submission, where no DuckDB is, and at the run.

Guarantees: pure. Names are those of the pinned DuckDB's catalog (`function_names`, compared with it by a test) and what its
grammar reads as a call. What is neither is refused by name, before anything is loaded.
"""

import difflib
import re

from flowforge.sql_policy.function_names import AGGREGATES, OF_A_ROW, READING, SEVERAL_ROWS, TABLES
from flowforge.sql_policy.parsing import NotAllowed

# What DuckDB reads as a call that is no function of its catalog.
GRAMMAR = frozenset({
    "all", "any", "array", "case", "cast", "coalesce", "columns", "construct_array", "date", "exists", "extract", "grouping",
    "grouping_id", "if", "ifnull", "map", "position", "row", "some", "struct", "substring", "trim", "try", "try_cast", "values",
})  # fmt: skip
ORDERED = frozenset({"percentile_cont", "percentile_disc"})  # aggregates by their WITHIN GROUP
REVEALING = re.compile(
    r"(read|duckdb|pragma|parquet|sniff|iceberg|delta|sqlite|postgres|mysql)_.*|.*_scan|glob|query|query_table|"
    r"getenv|getvariable|current_setting|which_secret|json_serialize_plan|write_log|(pg_)?sleep(_ms)?",
    re.IGNORECASE,
)
OF_SQL_SERVER = {
    "isnull": "coalesce(a, b)", "getdate": "now()", "getutcdate": "now()", "sysdatetime": "now()", "iif": "if(a, b, c)",
    "charindex": "strpos(text, part)", "dateadd": "a + INTERVAL 1 DAY", "newid": "uuid()", "convert": "CAST(a AS type)",
    "try_convert": "TRY_CAST(a AS type)", "datalength": "octet_length(a)", "patindex": "regexp_matches(text, pattern)",
    "eomonth": "last_day(a)", "square": "a * a", "isnumeric": "TRY_CAST(a AS DECIMAL) IS NOT NULL", "nvl": "coalesce(a, b)",
}  # fmt: skip
KNOWN = OF_A_ROW | AGGREGATES | SEVERAL_ROWS | TABLES | READING | GRAMMAR | ORDERED
OF_ONE_ROW = "a rule looks at one row at a time, and gives one answer"
ROWS_REMEDY = (
    "compare the row's columns (list_sum and the like for a list); figures of many rows are for the rules unique, row_count "
    "and freshness, or for a gold model and its rules"
)


def check_known(name: str) -> None:
    """Raises NotAllowed for a name that no function of DuckDB has, with what is close to it; an empty one is no call."""
    lower = name.lower()
    if (
        not lower
        or lower in OF_A_ROW
        or any(lower in names for names in (AGGREGATES, SEVERAL_ROWS, TABLES, READING, GRAMMAR, ORDERED))
    ):
        return
    if lower in OF_SQL_SERVER:
        raise NotAllowed(f"DuckDB has no function {lower}", None, f"write {OF_SQL_SERVER[lower]}")
    close = difflib.get_close_matches(lower, sorted(OF_A_ROW | AGGREGATES), 3)
    raise NotAllowed(f"DuckDB has no function {lower}", None, f"did you mean {' or '.join(close)}?" if close else "")


def check_reach(name: str) -> None:
    """Raises NotAllowed for a function that reads, writes or reveals what a query does not name."""
    if REVEALING.fullmatch(name) or name.lower() in READING:
        raise NotAllowed(f"the function {name.lower()} is not allowed: a query reads tables only")


def check_of_a_row(name: str) -> None:
    """Raises NotAllowed for a function that does not give one value for each row."""
    lower = name.lower()
    kinds = {
        "an aggregate or a window function": AGGREGATES | ORDERED,
        "a function that gives several rows": SEVERAL_ROWS,
        "a table function": TABLES,
    }
    for kind, names in kinds.items():
        if lower in names:
            raise NotAllowed(f"{lower} is not allowed: it is {kind}, and {OF_ONE_ROW}", None, ROWS_REMEDY)
