"""The job request: what a user posts, drops as a file or puts on the bus.

The two documents in docs/events.md are accepted as they stand. Field names are the users' (camelCase where they use it).
Every mistake of a document is named at once, by `parse_job_request`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from events.documents import Unreadable, read_json
from events.effects import KEY_OF_FULL_BUILD, layered, part, without_effect
from events.hosts import checked_host, with_address
from events.model import Request
from events.names import DESTINATION, LABEL, is_reserved, split_table_name, strip_layer
from events.quality import GoldRules, SilverRules
from events.redaction import secrets_in_texts, shown_name

Compression = Literal["snappy", "gzip", "zstd", "none"]
LoadStrategy = Literal["append", "full_refresh", "incremental"]
MergeStrategy = Literal["merge", "append", "replace", "scd2"]
Deletes = Literal["hard", "soft", "ignore"]
SchemaMode = Literal["evolve", "contract"]
KeyComparison = Literal["source", "exact"]
NullKeys = Literal["match", "quarantine"]
BuildStrategy = Literal["full", "incremental"]
Driver = Literal["auto", "mssql-python", "pymssql"]
Derivation = Literal["offset", "baseType", "srid"]
CountRows = Literal["auto", "always", "never"]
MOST_MISTAKES = 100  # that are told at once; a run's item holds at most 400 KB


class InvalidRequest(ValueError):
    """A request with mistakes; `.mistakes` lists each as {"field", "problem"}, at most MOST_MISTAKES and how many more
    there are."""

    def __init__(self, mistakes: list[dict[str, str]]):
        more = len(mistakes) - MOST_MISTAKES
        if more > 0:
            mistakes = [*mistakes[:MOST_MISTAKES], {"field": "(document)", "problem": f"and {more} mistakes more"}]
        mistakes = [{"field": m["field"][:500], "problem": m["problem"][:1500]} for m in mistakes]
        super().__init__("; ".join(f"{m['field']}: {m['problem']}" for m in mistakes))
        self.mistakes = mistakes


def _destination(value: str | None, info: ValidationInfo) -> str | None:
    if value is None:
        return None
    title = info.config.get("title") if info.config else None
    layer = {"SilverConfig": "silver", "GoldConfig": "gold", "GoldModel": "gold"}.get(title or "", "")
    name = strip_layer(value, layer) if layer else value
    if not DESTINATION.fullmatch(name):
        raise ValueError("expected letters, digits, _ and - only (at most 128), not a path")
    if is_reserved(name):
        raise ValueError(
            "begins with _, as the lake's own folders do (_quarantine, _models, _delta_log): choose another name"
        )
    return name


def _check_table_name(value: str) -> None:
    """As `split_table_name`, without the value in the message."""
    try:
        split_table_name(value)
    except ValueError:
        raise ValueError(
            "expected table, schema.table or [schema].[table] (each bracket closed, a ] inside doubled), of 1 to 128 characters"
        ) from None


def _different_columns(value: str | list[str] | None) -> str | list[str] | None:
    keys = [value] if isinstance(value, str) else value or []
    if value is not None and (not keys or not all(keys) or len(set(keys)) != len(keys)):
        raise ValueError("expected one column name or a list of different column names")
    return value


OTHER_LOGINS = ("authentication", "tenantId", "clientId", "clientSecret", "accessToken", "trustedConnection")
LOGINS = (
    "a connection logs in by username and password, of SQL Server or as DOMAIN\\user. Entra ID, managed identities and service "
    "principals need a driver that asks for tokens, which the one for questions (pymssql) does not: make it a SQL login"
)


def other_logins(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a connection that ask for another login than there is, each with what there is."""
    yield from ((name, LOGINS) for name in OTHER_LOGINS if name in given)


class Connection(Request):
    """How to reach the SQL Server: inline, by a secret's id, or by a saved connection's id."""

    connectionId: str | None = Field(default=None, description="id of a connection saved by POST /api/connections")
    host: str | None = None
    port: int = Field(default=1433, ge=1, le=65535)
    database: str | None = None
    username: str | None = None
    password: str | None = Field(default=None, repr=False, max_length=4000)
    secretId: str | None = Field(
        default=None, description='Secrets Manager name of {"username", "password", "host", "port", "database"}'
    )
    trustServerCertificate: bool = Field(default=False, description="true turns certificate checks off; TLS stays on")
    driver: Driver = Field(default="auto", description="extraction driver")
    maxConcurrentReads: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="reads of this server and database at the same time; default: the deployment's",
    )

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A connection is an id alone, or an address with a login."""
        yield from other_logins(given)
        if given.get("connectionId"):
            extra = [name for name, value in given.items() if name != "connectionId" and value is not None]
            if extra:
                yield f"connectionId stands alone: remove {', '.join(map(shown_name, extra))}"
            return
        wanted = ["host", "database"] if given.get("secretId") else ["host", "database", "username", "password"]
        missing = [field for field in wanted if given.get(field) in (None, "")]
        if missing:
            yield f"missing {', '.join(missing)} (or name a saved connection with connectionId)"
        extra = [field for field in ("username", "password") if given.get("secretId") and given.get(field) is not None]
        if extra:
            yield f"secretId holds the login: remove {', '.join(extra)}"

    _address = model_validator(mode="before")(with_address)
    _host = field_validator("host")(checked_host)


class BronzeConfig(Request):
    """Where and how a batch lands as Parquet."""

    tableName: str | None = None
    storageFormat: Literal["parquet"] = "parquet"
    loadStrategy: LoadStrategy = "append"
    auditColumns: bool = True
    compression: Compression = "snappy"

    _names = field_validator("tableName")(_destination)


class SilverConfig(Request):
    """How bronze is refined; without it silver merges by the source's primary key."""

    model_config = ConfigDict(title="SilverConfig")

    tableName: str | None = None
    primaryKey: str | list[str] | None = None
    mergeStrategy: MergeStrategy = "merge"
    deletes: Deletes | None = Field(
        None, description="rows that a full_refresh does not have: hard (default of merge), soft (of scd2), ignore"
    )
    schemaMode: SchemaMode = Field(
        "evolve", description="contract: every change of the source's columns stops the table until it is accepted"
    )
    keyComparison: KeyComparison = Field(
        "source",
        description="keys are equal where the source's collation says so; exact: where every character is the same",
    )
    nullKeys: NullKeys = Field(
        "match",
        description="a NULL in a key is a value, as in a unique index of the source; or such rows go to quarantine",
    )
    qualityRules: SilverRules = Field(default_factory=list)

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(_different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """What happens to deleted rows fits the strategy."""
        strategy, deletes = given.get("mergeStrategy", "merge"), given.get("deletes")
        if strategy == "scd2" and deletes == "hard":
            yield "deletes", "scd2 keeps history: soft closes the version of a deleted row, ignore leaves it open"
        if strategy in ("append", "replace") and deletes is not None:
            yield (
                "deletes",
                f"{strategy} has no deletes to choose: it "
                + ("only adds" if strategy == "append" else "holds the newest batch only"),
            )


class GoldModel(Request):
    """One gold table as a SELECT over silver and gold tables (DuckDB's SQL)."""

    model_config = ConfigDict(title="GoldModel")

    tableName: str
    sql: str = Field(min_length=1)
    buildStrategy: BuildStrategy = Field("full", description="incremental rebuilds only the keys that changed")
    primaryKey: str | list[str] | None = Field(None, description="columns that tell the model's rows apart")
    qualityRules: GoldRules = Field(default_factory=list, description="judged before the table is published")

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(_different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """An incremental model has a key; one that is built as a whole has no use for it."""
        yield from _without_key(given)
        if given.get("primaryKey") and given.get("buildStrategy", "full") == "full":
            yield "primaryKey", KEY_OF_FULL_BUILD


def _without_key(given: dict[str, Any]) -> Iterator[str]:
    if given.get("buildStrategy") == "incremental" and given.get("sql") and not given.get("primaryKey"):
        yield "buildStrategy incremental needs primaryKey: the columns that tell the model's rows apart"


class GoldConfig(Request):
    """What is published; without it gold is a published copy of silver."""

    model_config = ConfigDict(title="GoldConfig")

    tableName: str | None = None
    buildStrategy: BuildStrategy = Field("full", description="of tableName; a copy's key is silver's by default")
    primaryKey: str | list[str] | None = Field(None, description="columns that tell the rows of tableName apart")
    sql: str | None = Field(None, min_length=1, description="a SELECT that makes tableName, in place of the copy")
    qualityRules: GoldRules = Field(default_factory=list, description="of tableName; judged before it is published")
    models: list[GoldModel] = Field(
        default_factory=list, description="further gold tables, built when an input changes"
    )

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(_different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """The same as of a model: `sql` makes tableName one."""
        yield from _without_key(given)


class DestinationConfig(Request):
    """The three layers' settings; each has working defaults. A table's own settings go over those of the request, field by field;
    gold models add up."""

    bronzeConfig: BronzeConfig = BronzeConfig()
    silverConfig: SilverConfig | None = None
    goldConfig: GoldConfig | None = None


class ColumnChoice(Request):
    """Which of a table's columns are loaded: all but those that are excluded."""

    exclude: list[str] = Field(default_factory=list, description="columns to leave out; no key, no delta column")

    _names = field_validator("exclude")(_different_columns)


class TableConfig(Request):
    """One table (or query) to load."""

    tableName: str | None = None
    query: str | None = Field(None, min_length=1, description="a SELECT in place of a table; needs a destination name")
    isIncremental: bool = False
    deltaColumn: str | list[str] | None = Field(
        None, description="the column that grows with every change; of a list the first, the others only break its ties"
    )
    lastWatermark: str | StrictInt | None = Field(None, description="inclusive seed of the first run only")
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
    destination_config: DestinationConfig | None = None

    @field_validator("tableName")
    @classmethod
    def _table(cls, value: str | None) -> str | None:
        if value is not None:
            _check_table_name(value)
        return value

    @field_validator("deltaColumn")
    @classmethod
    def _cursor(cls, value: str | list[str] | None) -> str | list[str] | None:
        names = [value] if isinstance(value, str) else value
        if names is not None and (not names or not all(names) or len(set(names)) != len(names)):
            raise ValueError("expected one column name or a list of different column names")
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """An incremental load has a cursor; an entry is a table or a query."""
        if given.get("isIncremental") is True and not given.get("deltaColumn"):
            yield "isIncremental needs deltaColumn: the column whose values grow with every change"
        if isinstance(given.get("lastWatermark"), str) and not given["lastWatermark"].strip():
            yield "lastWatermark", "is empty: leave it out to load from the beginning"
        if given.get("deltaColumn") and given.get("isIncremental") is not True:
            yield "deltaColumn", "needs isIncremental true: a full load reads every row"
        for field, usual in (("lastWatermark", None), ("nullCursor", "include"), ("cursorClock", "unknown")):
            if given.get(field, usual) != usual and not given.get("deltaColumn"):
                yield field, "needs isIncremental true and a deltaColumn: it is about the cursor"
        if given.get("query") and given.get("tableName"):
            yield "give tableName or query, not both"
        if given.get("query") and given.get("columns"):
            yield "columns", "of a table only: name the columns in the query's SELECT"
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


class SourceConfig(Request):
    """The source system and what to read from it."""

    type: Literal["sql-server"]
    connection: Connection
    databaseConfig: DatabaseConfig


class JobRequest(Request):
    """A job request as users write it."""

    workflow_id: Annotated[str, Field(min_length=1, max_length=200)]
    job_id: Annotated[str, Field(min_length=1, max_length=200)]
    workflow_name: str | None = None
    job_name: str | None = None
    source_type: Literal["database"]
    source_config: SourceConfig
    destination_config: DestinationConfig = DestinationConfig()
    batch_id: str | None = None

    @field_validator("source_type", mode="before")
    @classmethod
    def _source_type(cls, value: Any) -> Any:
        if value == "file":
            raise ValueError('source_type "file" is not supported yet: expected "database"')
        return value

    @field_validator("batch_id")
    @classmethod
    def _label(cls, value: str | None) -> str | None:
        if value is not None and (not LABEL.fullmatch(value) or ".." in value):
            raise ValueError("expected letters, digits and . _ = + - only (at most 200), not a path")
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """The load strategy fits the load, and no destination is shared by accident."""
        config, shared = part(given, "source_config", "databaseConfig"), part(given, "destination_config")
        listed = config.get("tables")
        tables = listed if isinstance(listed, list) else []
        entries = [(f"tables.{n}", entry) for n, entry in enumerate(tables) if isinstance(entry, dict)]
        for where, entry in entries if tables else [("", config)]:
            path = ".".join(["source_config.databaseConfig", where] if where else ["source_config.databaseConfig"])
            bronze = layered(entry, shared, "bronzeConfig")
            incremental = entry.get("isIncremental") is True
            if bronze.get("loadStrategy") == "incremental" and not incremental:
                yield (
                    path,
                    "loadStrategy incremental needs isIncremental true and a deltaColumn: add both, or write append "
                    "(all rows are read) or full_refresh (and rows that are gone are taken out)",
                )
            if bronze.get("loadStrategy") == "full_refresh" and incremental:
                yield (
                    path,
                    "loadStrategy full_refresh contradicts isIncremental: write incremental to load what changed, or "
                    "isIncremental false to load the whole table",
                )
            if entry.get("query") and not bronze.get("tableName"):
                yield path, "a query needs bronzeConfig.tableName: it has no table name of its own"
            if bronze.get("loadStrategy") != "full_refresh":
                yield from _needs_full_refresh(path, entry, layered(entry, shared, "silverConfig"))
        path = "source_config.databaseConfig"
        named = [(f"{path}.tables.{n}", entry if isinstance(entry, dict) else {}) for n, entry in enumerate(tables)]
        yield from without_effect(shared, named if tables else [(path, config)])
        if entries and all(isinstance(entry, dict) for entry in tables):
            yield from _used_by_none(shared, [entry for _, entry in entries])
        fixed = [n for n in ("bronzeConfig", "silverConfig", "goldConfig") if part(shared, n).get("tableName")]
        if tables and fixed:
            yield (
                "destination_config",
                f"with tables, {', '.join(fixed)}.tableName would be shared by all: name it in each entry",
            )


def _needs_full_refresh(path: str, entry: dict[str, Any], silver: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What only a full_refresh does, since other loads do not see what is gone."""
    if entry.get("allowEmptyRefresh") is True:
        yield f"{path}.allowEmptyRefresh", "needs bronzeConfig.loadStrategy full_refresh"
    if silver.get("deletes") in ("hard", "soft"):
        yield (
            path,
            f"deletes {silver['deletes']} needs bronzeConfig.loadStrategy full_refresh: other loads see no deletions",
        )


def _used_by_none(shared: dict[str, Any], entries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Settings of the request in whose place every table has its own."""
    for layer in ("bronzeConfig", "silverConfig", "goldConfig"):
        owns = [part(entry, "destination_config", layer) for entry in entries]
        for field in sorted(set(part(shared, layer)) - {"models", "tableName"}):
            if all(own.get(field) is not None for own in owns):
                yield f"destination_config.{layer}.{field}", "is used by no table: each has its own"


def parse_job_request(document: str | bytes | dict[str, Any], workflow_id: str | None = None) -> JobRequest:
    """Reads a job request; `workflow_id` (from the route) fills the field in, or must agree with it.

    Raises InvalidRequest with every mistake: the field's path and what was expected. No value is repeated in it, since a
    value may be a password. A secret anywhere but in connection.password is a mistake, too.
    """
    if not isinstance(document, dict):
        document = _load_json(document)
    if workflow_id is not None and document.setdefault("workflow_id", workflow_id) != workflow_id:
        raise InvalidRequest([{"field": "workflow_id", "problem": "differs from the workflow in the address"}])
    mistakes = [{"field": path, "problem": problem} for path, problem in secrets_in_texts(document)]
    try:
        request = JobRequest.model_validate(document)
    except ValidationError as error:
        raise InvalidRequest(mistakes_of(error) + mistakes) from None
    if mistakes:
        raise InvalidRequest(mistakes)
    return request


def _load_json(document: str | bytes) -> dict[str, Any]:
    try:
        loaded = read_json(document)
    except Unreadable as error:
        raise InvalidRequest([{"field": "(document)", "problem": str(error)}]) from None
    if not isinstance(loaded, dict):
        raise InvalidRequest([{"field": "(document)", "problem": "expected a JSON object"}])
    return loaded


def mistakes_of(error: ValidationError, prefix: str = "") -> list[dict[str, str]]:
    """Each mistake's field path (under `prefix`) and what was expected; no value is repeated, it may be a password."""
    return [_mistake(detail, prefix) for detail in error.errors(include_url=False, include_input=False)]


def _mistake(error: ErrorDetails, prefix: str) -> dict[str, str]:
    path = [shown_name(part) for part in error["loc"] if part not in ("(table)", "(pattern)", "str", "list[str]")]
    problem = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        problem = "unknown field"
    elif error["type"] == "missing":
        problem = "missing; it is required"
    return {"field": ".".join([prefix] * bool(prefix) + path) or "(document)", "problem": problem}
