"""Each field of a request with two values that differ in effect, and a request that needs it."""

import copy
from typing import Any

from events.request import (
    BronzeConfig,
    ColumnChoice,
    Connection,
    DatabaseConfig,
    DatabaseSource,
    DeleteDetection,
    DestinationConfig,
    GoldConfig,
    GoldModel,
    JobRequest,
    RowFilter,
    SilverConfig,
    TableConfig,
    Window,
)
from tests.helpers.documents import put

INLINE = {"host": "db", "database": "Bank", "username": "u", "password": "p"}


SAVED = "fields"


BASE = {
    "workflow_id": "wf",
    "job_id": "job",
    "batch_id": "b",
    "source_type": "database",
    "source_config": {"type": "sql-server", "connection": INLINE, "databaseConfig": {"tableName": "customers"}},
}


WHERE = "source_config.connection"


DATA = "source_config.databaseConfig"


TO = "destination_config"


GROWING = {f"{DATA}.isIncremental": True, f"{DATA}.deltaColumn": "modified"}


TRACKED = {f"{DATA}.isIncremental": True, f"{DATA}.changeTracking": True}


REFRESH = {f"{TO}.bronzeConfig.loadStrategy": "full_refresh"}


RULE = {"rule": "not_null", "column": "a"}


GOLD_SQL = {f"{TO}.goldConfig.tableName": "g", f"{TO}.goldConfig.sql": "SELECT 1 AS a FROM silver.customers"}


MODEL = {"tableName": "m", "sql": "SELECT a, b FROM silver.customers"}


def model(**settings: Any) -> list[dict[str, Any]]:
    return [MODEL | settings]


def keys(**settings: Any) -> dict[str, Any]:
    return {"detect": "keys"} | settings


def rows(**settings: Any) -> list[dict[str, Any]]:
    return [{"column": "a", "value": 1} | settings]


# field -> where it stands, two values (None: left out), and what it needs around it
FIELDS: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "JobRequest.workflow_id": ("workflow_id", "wf", "other", {}),
    "JobRequest.job_id": ("job_id", "job", "other", {}),
    "JobRequest.workflow_name": ("workflow_name", None, "Bank", {}),
    "JobRequest.job_name": ("job_name", None, "Nightly", {}),
    "JobRequest.source_type": ("source_type", "database", "file", {}),
    "JobRequest.batch_id": ("batch_id", "b", "c", {}),
    "DatabaseSource.type": ("source_config.type", "sql-server", "oracle", {}),
    "Connection.connectionId": (WHERE, INLINE, {"connectionId": SAVED}, {}),
    "Connection.host": (f"{WHERE}.host", "db", "db2", {}),
    "Connection.port": (f"{WHERE}.port", None, 1434, {}),
    "Connection.database": (f"{WHERE}.database", "Bank", "Other", {}),
    "Connection.username": (f"{WHERE}.username", "u", "v", {}),
    "Connection.password": (f"{WHERE}.password", "p", "q", {}),
    "Connection.secretId": (WHERE, INLINE, {"host": "db", "database": "Bank", "secretId": "flowforge/x"}, {}),
    "Connection.trustServerCertificate": (f"{WHERE}.trustServerCertificate", False, True, {}),
    "Connection.driver": (f"{WHERE}.driver", "auto", "pymssql", {}),
    "Connection.maxConcurrentReads": (f"{WHERE}.maxConcurrentReads", None, 2, {}),
    "DatabaseConfig.consistentCut": (f"{DATA}.consistentCut", False, True, TRACKED),
    "DatabaseConfig.tables": (DATA, {"tables": ["a"]}, {"tables": ["a", "b"]}, {}),
    "TableConfig.tableName": (f"{DATA}.tableName", "customers", "accounts", {}),
    "Window.from_": (f"{DATA}.window", {"to": 9}, {"from": 1, "to": 9}, GROWING),
    "Window.column": (f"{DATA}.window", {"column": "a"}, {"column": "b"}, GROWING),
    "Window.to": (f"{DATA}.window", {"from": 1}, {"from": 1, "to": 9}, GROWING),
    "TableConfig.query": (
        DATA,
        {"query": "SELECT 1 AS a"},
        {"query": "SELECT 2 AS a"},
        {f"{TO}.bronzeConfig.tableName": "q"},
    ),
    "TableConfig.isIncremental": (f"{DATA}.isIncremental", False, True, {f"{DATA}.deltaColumn": "modified"}),
    "TableConfig.deltaColumn": (f"{DATA}.deltaColumn", "a", "b", GROWING),
    "TableConfig.changeTracking": (
        DATA,
        {"tableName": "customers"},
        {"tableName": "customers", "isIncremental": True, "changeTracking": True},
        {},
    ),
    "TableConfig.onGap": (f"{DATA}.onGap", "refuse", "full_refresh", TRACKED),
    "TableConfig.lastWatermark": (f"{DATA}.lastWatermark", None, "2024-01-01", GROWING),
    "TableConfig.nullCursor": (f"{DATA}.nullCursor", "include", "fail", GROWING),
    "TableConfig.cursorClock": (f"{DATA}.cursorClock", "unknown", "utc", GROWING),
    "TableConfig.acceptPartialView": (f"{DATA}.acceptPartialView", False, True, REFRESH),
    "TableConfig.allowEmptyRefresh": (f"{DATA}.allowEmptyRefresh", False, True, REFRESH),
    "TableConfig.snapshotIsolation": (f"{DATA}.snapshotIsolation", True, False, {}),
    "TableConfig.countRows": (f"{DATA}.countRows", "auto", "never", {}),
    "TableConfig.derivedColumns": (f"{DATA}.derivedColumns", [], ["srid"], {}),
    "TableConfig.rename": (f"{DATA}.rename", {}, {"a": "b"}, {}),
    "TableConfig.cast": (f"{DATA}.cast", {}, {"a": "int"}, {}),
    "TableConfig.protect": (f"{DATA}.protect", {}, {"ssn": "null"}, {}),
    "TableConfig.protectionKey": (
        f"{DATA}.protectionKey",
        "flowforge/k",
        "flowforge/l",
        {f"{DATA}.protect": {"ssn": "hmac"}},
    ),
    "ColumnChoice.exclude": (f"{DATA}.columns", None, {"exclude": ["a"]}, {}),
    "ColumnChoice.include": (f"{DATA}.columns", None, {"include": ["a"]}, {}),
    "RowFilter.column": (f"{DATA}.where", rows(), rows(column="b"), {}),
    "RowFilter.operator": (f"{DATA}.where", rows(), rows(operator="<>"), {}),
    "RowFilter.value": (f"{DATA}.where", rows(), rows(value=2), {}),
    "BronzeConfig.tableName": (f"{TO}.bronzeConfig.tableName", None, "elsewhere", {}),
    "BronzeConfig.storageFormat": (f"{TO}.bronzeConfig.storageFormat", "parquet", "orc", {}),
    "BronzeConfig.loadStrategy": (f"{TO}.bronzeConfig.loadStrategy", "append", "full_refresh", {}),
    "BronzeConfig.auditColumns": (f"{TO}.bronzeConfig.auditColumns", True, False, {}),
    "BronzeConfig.compression": (f"{TO}.bronzeConfig.compression", "snappy", "zstd", {}),
    "SilverConfig.tableName": (f"{TO}.silverConfig.tableName", None, "elsewhere", {}),
    "SilverConfig.primaryKey": (f"{TO}.silverConfig.primaryKey", None, "a", {}),
    "SilverConfig.mergeStrategy": (f"{TO}.silverConfig.mergeStrategy", "merge", "scd2", {}),
    "SilverConfig.deletes": (f"{TO}.silverConfig.deletes", "hard", "soft", REFRESH),
    "DeleteDetection.detect": (f"{TO}.silverConfig.deletes", None, keys(), GROWING),
    "DeleteDetection.every": (f"{TO}.silverConfig.deletes", keys(), keys(every="2 hours"), GROWING),
    "DeleteDetection.maxDeleteShare": (f"{TO}.silverConfig.deletes", keys(), keys(maxDeleteShare=0.5), GROWING),
    "DeleteDetection.mode": (f"{TO}.silverConfig.deletes", keys(), keys(mode="soft"), GROWING),
    "SilverConfig.schemaMode": (f"{TO}.silverConfig.schemaMode", "evolve", "contract", {}),
    "SilverConfig.nullKeys": (
        f"{TO}.silverConfig.nullKeys",
        "match",
        "quarantine",
        {f"{TO}.silverConfig.primaryKey": "a"},
    ),
    "SilverConfig.keyComparison": (f"{TO}.silverConfig.keyComparison", "source", "exact", {}),
    "SilverConfig.qualityRules": (f"{TO}.silverConfig.qualityRules", [], [RULE], {}),
    "GoldConfig.tableName": (f"{TO}.goldConfig.tableName", None, "elsewhere", {}),
    "GoldConfig.buildStrategy": (f"{TO}.goldConfig.buildStrategy", "full", "incremental", {}),
    "GoldConfig.primaryKey": (
        f"{TO}.goldConfig.primaryKey",
        "a",
        "b",
        {f"{TO}.goldConfig.buildStrategy": "incremental"},
    ),
    "GoldConfig.sql": (
        f"{TO}.goldConfig.sql",
        GOLD_SQL[f"{TO}.goldConfig.sql"],
        "SELECT 2 AS a FROM silver.c",
        GOLD_SQL,
    ),
    "GoldConfig.qualityRules": (f"{TO}.goldConfig.qualityRules", [], [RULE], {}),
    "GoldModel.tableName": (f"{TO}.goldConfig.models", model(), model(tableName="n"), {}),
    "GoldModel.sql": (f"{TO}.goldConfig.models", model(), model(sql="SELECT b FROM silver.customers"), {}),
    "GoldModel.buildStrategy": (
        f"{TO}.goldConfig.models",
        model(),
        model(primaryKey="a", buildStrategy="incremental"),
        {},
    ),
    "GoldModel.primaryKey": (
        f"{TO}.goldConfig.models",
        model(primaryKey="a", buildStrategy="incremental"),
        model(primaryKey=["a", "b"], buildStrategy="incremental"),
        {},
    ),
    "GoldModel.qualityRules": (f"{TO}.goldConfig.models", model(), model(qualityRules=[RULE]), {}),
}


PARTS = {
    "source_config",
    "connection",
    "databaseConfig",
    TO,
    "bronzeConfig",
    "silverConfig",
    "goldConfig",
    "models",
    "columns",
    "where",
    "window",
}


MODELS = (
    JobRequest,
    DatabaseSource,
    Connection,
    DatabaseConfig,
    TableConfig,
    ColumnChoice,
    RowFilter,
    Window,
    DestinationConfig,
    BronzeConfig,
    SilverConfig,
    DeleteDetection,
    GoldConfig,
    GoldModel,
)


DESTINATION = sorted(
    name for name, (path, *_) in FIELDS.items() if path.startswith(TO) and not name.endswith("tableName")
)


def document_of(path: str, value: Any, around: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(BASE)
    for place, needed in around.items():
        put(document, place, needed)
    put(document, path, value)
    return document
