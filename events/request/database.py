"""The part of a request that names a database: its connection, and the tables or the query to read."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, StrictInt, Tag, field_validator

from events.choices import CountRows, DatabaseKind, Derivation, OnGap
from events.model import Request
from events.names import split_table_name
from events.request.connection import Connection
from events.request.destinations import DestinationConfig, different_columns
from events.request.protection import key_by_name, known_protections, of_protection
from events.request.table_contradictions import of_cut, of_tracking, of_where
from events.request.table_parts import ColumnChoice, RowFilter, Window


def _check_table_name(value: str) -> None:
    """As `split_table_name`, without the value in the message."""
    try:
        split_table_name(value)
    except ValueError:
        raise ValueError(
            "expected table, schema.table or [schema].[table] (each bracket closed, a ] inside doubled), of 1 to 128 characters"
        ) from None


LONGEST_NAME = 128  # of a column, as at the source


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
    cast: dict[str, str] = Field(
        default_factory=dict,
        description="column to the T-SQL type that the SELECT makes of it, such as decimal(18,2); no key, no delta column",
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

    @field_validator("rename")
    @classmethod
    def _names_in_the_lake(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(0 < len(name.strip()) <= LONGEST_NAME and name == name.strip() for name in value.values()):
            raise ValueError(f"expected names of 1 to {LONGEST_NAME} characters, without blanks at an end")
        for names in (value.keys(), value.values()):
            if len({name.lower() for name in names}) < len(value):
                raise ValueError("has a name twice")
        return value

    @field_validator("cast")
    @classmethod
    def _casts(cls, value: dict[str, str]) -> dict[str, str]:
        if len({name.lower() for name in value}) < len(value):
            raise ValueError("names a column twice")
        return value

    @field_validator("tableName")
    @classmethod
    def _table(cls, value: str | None) -> str | None:
        if value is not None:
            _check_table_name(value)
        return value

    _cursor = field_validator("deltaColumn")(different_columns)
    _protections = field_validator("protect")(known_protections)
    _key_by_name = field_validator("protectionKey")(key_by_name)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """An incremental load has a cursor; an entry is a table or a query."""
        if given.get("isIncremental") is True and not (given.get("deltaColumn") or given.get("changeTracking") is True):
            yield "isIncremental needs deltaColumn: the column whose values grow with every change; or changeTracking true"
        yield from of_tracking(given)
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
        if given.get("query") and given.get("cast"):
            yield "cast", "of a table only: write the CAST into the query's SELECT"
        if given.get("query") and given.get("where"):
            yield "where", "of a table only: write the condition into the query's WHERE"
        yield from of_where(given.get("where"))
        yield from of_protection(given)
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
    consistentCut: bool = Field(
        False,
        description="all tables are read as of one moment, by Change Tracking, and a gold model reads tables of one moment only",
    )

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
        yield from of_cut(given)
        if isinstance(given.get("tables"), list):
            for field in sorted(set(given) & set(TableConfig.model_fields) - {"tableName", "query"}):
                yield field, "stands beside tables, where it would be about none of them: write it into their entries"
        forms = [form for form in ("tableName", "query", "tables") if given.get(form) is not None]
        if len(forms) != 1 and forms != ["tableName", "query"]:
            found = f"; got {', '.join(forms)}" if forms else ""
            yield f"expected exactly one of tableName, query, tables{found}"


class DatabaseSource(Request):
    """The server and what to read from it."""

    type: DatabaseKind
    connection: Connection
    databaseConfig: DatabaseConfig
