"""The part of a request that names a database: its connection, and the tables or the query to read."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, StrictBool, StrictInt, Tag, field_validator

from events.choices import CountRows, Derivation, FilterOperator, OnGap
from events.model import Request
from events.names import split_table_name
from events.redaction import SECRET_ID
from events.request.connection import Connection
from events.request.destinations import DestinationConfig, different_columns


def _check_table_name(value: str) -> None:
    """As `split_table_name`, without the value in the message."""
    try:
        split_table_name(value)
    except ValueError:
        raise ValueError(
            "expected table, schema.table or [schema].[table] (each bracket closed, a ] inside doubled), of 1 to 128 characters"
        ) from None


PROTECTION = re.compile(r"drop|null|hmac|partial\([1-9][0-9]?\)|bucket(\([1-9][0-9]{0,17}\))?")
LONGEST_NAME = 128  # of a column, as at the source
MOST_VALUES = 500  # of a table's filter: each is a parameter twice, and a statement takes 2,100


class ColumnChoice(Request):
    """Which of a table's columns are loaded: all but those that are excluded, or those that are included and no other."""

    exclude: list[str] = Field(default_factory=list, description="columns to leave out; no key, no delta column")
    include: list[str] = Field(
        default_factory=list, description="the columns to load, keys and delta column among them"
    )

    _names = field_validator("exclude", "include")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """One of both: what is not included is left out already."""
        if given.get("exclude") and given.get("include"):
            yield "exclude", "what is not in include is left out already: give one of both"


class RowFilter(Request):
    """A condition on one column; of several all must hold. NULL fits none but `is null`, as in SQL."""

    column: str = Field(min_length=1)
    operator: FilterOperator = "="
    value: str | StrictInt | StrictBool | list[str | StrictInt | StrictBool] | None = Field(
        None, description="as the column holds it: text, whole number, true or false; a decimal as text; a list for in"
    )

    @property
    def values(self) -> list[str]:
        """The values as text; true is 1."""
        one = self.value
        given = one if isinstance(one, list) else [] if one is None else [one]
        return [str(int(value)) if isinstance(value, bool | int) else value for value in given]

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A value where the operator takes one, a list where it takes several."""
        operator, value = given.get("operator", "="), given.get("value")
        if operator in ("is null", "is not null"):
            if value is not None:
                yield "value", f"{operator} takes none: leave it out"
        elif operator in ("in", "not in"):
            if not isinstance(value, list) or not value:
                yield "value", f"{operator} takes a list of values"
        elif value is None or isinstance(value, list):
            yield "value", "expected one value (for NULL the operator is null, for several the operator in)"


class Window(Request):
    """A part of a table that is read once more, by its delta column: from `from` on, below `to`; or all that is loaded, for the
    sake of a `column` that its rows lack."""

    from_: str | StrictInt | None = Field(None, alias="from", description="inclusive; default: the beginning")
    to: str | StrictInt | None = Field(None, description="exclusive; default: the watermark")
    column: str | None = Field(None, min_length=1, description="one that was added, or left out until now")

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A bound at least, and none that is empty; with a column none."""
        bounds = [name for name in ("from", "to") if given.get(name) is not None]
        if not bounds and given.get("column") is None:
            yield "expected from, to or both, or column: all rows are a full load"
        if bounds and given.get("column") is not None:
            yield (
                "column",
                f"stands alone: all that is loaded is read for it; {' and '.join(bounds)} would leave rows out",
            )
        for name in bounds:
            if isinstance(given[name], str) and not given[name].strip():
                yield name, "is empty: leave it out"


def _of_where(where: Any) -> Iterator[tuple[str, str]]:
    if isinstance(where, str):
        yield (
            "where",
            'is no SQL, but a list of conditions, such as [{"column": "region", "value": "EU"}]; all must hold',
        )
    if isinstance(where, list):
        values = [one.get("value") for one in where if isinstance(one, dict)]
        if (count := sum(len(value) if isinstance(value, list) else 1 for value in values)) > MOST_VALUES:
            yield "where", f"has {count:,} values, {MOST_VALUES} are the most: load a view that has the condition"


def _of_protection(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    protect = given.get("protect")
    ways = list(protect.values()) if isinstance(protect, dict) else []
    if given.get("query") and "drop" in ways:
        yield "protect", "drop is for columns of a table: leave them out of the query's SELECT"
    if "hmac" in ways and not given.get("protectionKey"):
        yield "protectionKey", "hmac needs it: the name of the secret that holds the key"
    if given.get("protectionKey") and "hmac" not in ways:
        yield "protectionKey", "is used by hmac alone: leave it out"


def _of_tracking(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if given.get("changeTracking") is not True:
        if given.get("onGap", "refuse") != "refuse":
            yield "onGap", "is for changeTracking true alone: leave it out"
        return
    if given.get("isIncremental") is not True:
        yield "changeTracking", "needs isIncremental true: a full load reads every row"
    if given.get("deltaColumn"):
        yield "changeTracking", "stands in place of deltaColumn: leave one of both out"
    if given.get("query"):
        yield "changeTracking", "is for a table: the server tells no changes of a query"
    if given.get("where"):
        yield "where", "does not go with changeTracking yet: load the table by a delta column, or without a condition"
    if given.get("snapshotIsolation") is False:
        yield "snapshotIsolation", "changeTracking reads log and table under SNAPSHOT isolation: leave it out"


class TableConfig(Request):
    """One table (or query) to load."""

    tableName: str | None = None
    query: str | None = Field(None, min_length=1, description="a SELECT in place of a table; needs a destination name")
    isIncremental: bool = False
    deltaColumn: str | list[str] | None = Field(
        None, description="the column that grows with every change; of a list the first, the others only break its ties"
    )
    changeTracking: bool = Field(
        False,
        description="in place of a delta column: inserts, updates and deletes as SQL Server's Change Tracking tells them",
    )
    onGap: OnGap = Field(
        "refuse",
        description="with changeTracking, where the server does not know all changes any more: refuse, or full_refresh",
    )
    lastWatermark: str | StrictInt | None = Field(None, description="inclusive seed of the first run only")
    window: Window | None = Field(
        None, description="rows of this part of the delta column are loaded once more; the watermark stays"
    )
    nullCursor: Literal["include", "exclude", "fail"] = "include"
    cursorClock: Literal["unknown", "utc", "local"] = Field("unknown", description="clock that stamps the delta column")
    acceptPartialView: bool = Field(
        False,
        description="rows that a security policy hides from this login may be taken out of silver by a load that removes"
        " what it does not read",
    )
    allowEmptyRefresh: bool = Field(False, description="a full_refresh that reads no rows may empty the table")
    snapshotIsolation: bool = Field(True, description="read under SNAPSHOT isolation where the database allows it")
    countRows: CountRows = Field(
        "auto",
        description="the source counts each batch's rows on its own, to compare: auto where that is cheap, always, never",
    )
    derivedColumns: list[Derivation] = Field(
        default_factory=list,
        validation_alias=AliasChoices(
            "derivedColumns", "companionColumns"
        ),  # the second in requests of earlier versions
        description="columns beside those whose type cannot hold all: offset (of datetimeoffset, <name>_offset_minutes),"
        " baseType (of sql_variant, <name>_base_type), srid (of geometry and geography, <name>_srid)",
    )
    columns: ColumnChoice | None = Field(None, description="which columns of the table are loaded; default: all")
    where: list[RowFilter] = Field(
        default_factory=list,
        description="which rows of the table are loaded: those that fit every condition; default: all",
    )
    rename: dict[str, str] = Field(
        default_factory=dict, description="column to its name in the lake; no key, no delta column"
    )
    protect: dict[str, str] = Field(
        default_factory=dict,
        description="what becomes of personal data before a byte of it is written: column to drop, null, hmac, partial(4),"
        " bucket (of dates: the year), bucket(100) (of numbers)",
    )
    protectionKey: str | None = Field(
        None, min_length=1, description='of hmac: Secrets Manager name of {"hmacKey": 64 or more hexadecimal digits}'
    )
    destination_config: DestinationConfig | None = None

    @field_validator("protect")
    @classmethod
    def _protections(cls, value: dict[str, str]) -> dict[str, str]:
        for how in value.values():
            if not PROTECTION.fullmatch(how):
                raise ValueError("expected drop, null, hmac, partial(4), bucket or bucket(100) for each column")
        if len({name.lower() for name in value}) < len(value):
            raise ValueError("names a column twice")
        return value

    @field_validator("rename")
    @classmethod
    def _names_in_the_lake(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(0 < len(name.strip()) <= LONGEST_NAME and name == name.strip() for name in value.values()):
            raise ValueError(f"expected names of 1 to {LONGEST_NAME} characters, without blanks at an end")
        for names in (value.keys(), value.values()):
            if len({name.lower() for name in names}) < len(value):
                raise ValueError("has a name twice")
        return value

    @field_validator("protectionKey")
    @classmethod
    def _key_by_name(cls, value: str | None) -> str | None:
        if value is not None and not SECRET_ID.fullmatch(value):
            raise ValueError(
                "expected the name of a secret that holds the key, such as flowforge/keys/people, not the key"
            )
        return value

    @field_validator("tableName")
    @classmethod
    def _table(cls, value: str | None) -> str | None:
        if value is not None:
            _check_table_name(value)
        return value

    _cursor = field_validator("deltaColumn")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """An incremental load has a cursor; an entry is a table or a query."""
        if given.get("isIncremental") is True and not (given.get("deltaColumn") or given.get("changeTracking") is True):
            yield "isIncremental needs deltaColumn: the column whose values grow with every change; or changeTracking true"
        yield from _of_tracking(given)
        if isinstance(given.get("lastWatermark"), str) and not given["lastWatermark"].strip():
            yield "lastWatermark", "is empty: leave it out to load from the beginning"
        if given.get("deltaColumn") and given.get("isIncremental") is not True:
            yield "deltaColumn", "needs isIncremental true: a full load reads every row"
        for field, usual in (
            ("lastWatermark", None),
            ("window", None),
            ("nullCursor", "include"),
            ("cursorClock", "unknown"),
        ):
            if given.get(field, usual) != usual and not given.get("deltaColumn"):
                yield field, "needs isIncremental true and a deltaColumn: it is about the cursor"
        if given.get("query") and given.get("tableName"):
            yield "give tableName or query, not both"
        if given.get("query") and given.get("columns"):
            yield "columns", "of a table only: name the columns in the query's SELECT"
        if given.get("query") and given.get("rename"):
            yield "rename", "of a table only: name the columns in the query's SELECT"
        if given.get("query") and given.get("where"):
            yield "where", "of a table only: write the condition into the query's WHERE"
        yield from _of_where(given.get("where"))
        yield from _of_protection(given)
        if cls is TableConfig and given.get("query") is None and given.get("tableName") is None:
            yield "expected tableName or query"


def _entry_kind(value: Any) -> str:
    return "(pattern)" if isinstance(value, str) else "(table)"


TableEntry = Annotated[
    Annotated[TableConfig, Tag("(table)")] | Annotated[str, Tag("(pattern)")], Discriminator(_entry_kind)
]


class DatabaseConfig(TableConfig):
    """One table, a query, or `tables`: a list of table settings and patterns such as "dbo.*"."""

    tables: list[TableEntry] | None = Field(None, min_length=1)

    @field_validator("tables")
    @classmethod
    def _patterns(cls, value: list[TableConfig | str] | None) -> list[TableConfig | str] | None:
        for entry in value or []:
            if isinstance(entry, str):
                _check_table_name(entry)
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Exactly one of table, query and tables; what is said of a table is said in its entry."""
        yield from super().contradictions(given)
        if isinstance(given.get("tables"), list):
            for field in sorted(set(given) & set(TableConfig.model_fields) - {"tableName", "query"}):
                yield field, "stands beside tables, where it would be about none of them: write it into their entries"
        forms = [form for form in ("tableName", "query", "tables") if given.get(form) is not None]
        if len(forms) != 1 and forms != ["tableName", "query"]:
            found = f"; got {', '.join(forms)}" if forms else ""
            yield f"expected exactly one of tableName, query, tables{found}"


class DatabaseSource(Request):
    """The server and what to read from it."""

    type: Literal["sql-server"]
    connection: Connection
    databaseConfig: DatabaseConfig
