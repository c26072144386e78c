"""Servers that someone else wrote, in place of the stand-in and the embedded S3: FLOWFORGE_TEST_SQLSERVER, FLOWFORGE_TEST_S3.

    FLOWFORGE_TEST_SQLSERVER=USER@HOST:PORT[/DATABASE]   with its password in FLOWFORGE_TEST_SQLSERVER_PASSWORD
    FLOWFORGE_TEST_S3=http://HOST:PORT                   with FLOWFORGE_TEST_S3_ACCESS_KEY_ID, FLOWFORGE_TEST_S3_SECRET_ACCESS_KEY

Each run has a database of its own, or the one that is named, where it makes the bank and drops it, and buckets of its own; they
go when it ends. Only servers on this machine are taken: what is elsewhere is reached through a forwarded port. A password in the
address is refused, since addresses are shown. What needs the stand-in's own powers (faults, other clocks, other versions) is
skipped with that reason.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest

from tests.helpers.servers import OTHER_S3, start_standin, stop

SQLSERVER, S3 = "FLOWFORGE_TEST_SQLSERVER", OTHER_S3
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BANK = ("customers", "accounts", "transactions")
ROWS_AT_ONCE = 500  # SQL Server takes 1,000 rows of VALUES at most


def address(variable: str) -> SplitResult | None:
    """Where the server of a variable is, or None where tests start one of their own."""
    given = os.environ.get(variable, "")
    if not given:
        return None
    where = urlsplit(given if "//" in given else f"//{given}")
    if where.password is not None:
        raise pytest.UsageError(f"{variable} holds a password: it goes to a variable of its own, see CONTRIBUTING.md")
    if where.hostname not in LOOPBACK or where.port is None:
        raise pytest.UsageError(f"{variable} wants a server on this machine, with its port; forward one from elsewhere")
    return where


def secret(variable: str) -> str:
    """A password or key, which has to be there."""
    if not os.environ.get(variable):
        raise pytest.UsageError(f"{variable} is not set")
    return os.environ[variable]


def skip_without_standin() -> None:
    """Skips a test that needs what only the stand-in does on demand."""
    if os.environ.get(SQLSERVER):
        pytest.skip(f"needs the stand-in's own powers, and {SQLSERVER} names another server")


# ---------------------------------------------------------------- SQL Server
@dataclass(frozen=True)
class Login:
    """Where a database is, and who asks it."""

    host: str
    port: int
    username: str
    password: str
    database: str


@contextmanager
def bank_database(folder: Path) -> Iterator[Login]:
    """The sample bank in a database of the server that FLOWFORGE_TEST_SQLSERVER names; it is gone after the block."""
    where = address(SQLSERVER)
    assert where is not None and where.port is not None
    named = where.path.strip("/")
    login = Login(
        where.hostname or "", where.port, where.username or "sa", secret(f"{SQLSERVER}_PASSWORD"),
        named or f"flowforge_test_{uuid.uuid4().hex[:12]}",
    )  # fmt: skip
    made: list[str] = []
    if not named:
        _run(login, f"CREATE DATABASE [{login.database}]", database="master")
    try:
        _run(login, "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
        _run(login, "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON")
        _create_bank(login, folder, made)
        yield login
    finally:
        for table in reversed(made if named else []):
            _run(login, f"DROP TABLE dbo.{table}")
        if not named:
            _run(login, f"ALTER DATABASE [{login.database}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE", database="master")
            _run(login, f"DROP DATABASE [{login.database}]", database="master")


def _connect(login: Login, database: str) -> Any:
    import pymssql

    return pymssql.connect(
        server=login.host,
        port=str(login.port),
        user=login.username,
        password=login.password,
        database=database,
        autocommit=True,
    )


def _run(login: Login, statement: str, database: str = "") -> None:
    with _connect(login, database or login.database) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _create_bank(login: Login, folder: Path, made: list[str]) -> None:
    """Makes the bank's tables with the rows that a stand-in gives; adds each to `made` once it is there."""
    from infra.sqlserver.__main__ import SAMPLE_PASSWORD
    from infra.sqlserver.bank import TABLES

    process, ready = start_standin(folder, "--bank")
    sample = Login("localhost", ready["port"], "sa", SAMPLE_PASSWORD, ready["database"])
    try:
        with _connect(sample, sample.database) as reading, _connect(login, login.database) as writing:
            for table in BANK:
                with writing.cursor() as cursor:
                    cursor.execute(TABLES[table])
                made.append(table)
                _copy(reading, writing, table)
    finally:
        stop(process)


def _copy(reading: Any, writing: Any, table: str) -> None:
    """Copies rows as text that both servers read as the same values."""
    with reading.cursor() as cursor, writing.cursor() as into:
        cursor.execute(f"SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.{table}') ORDER BY column_id")
        columns = [name for (name,) in cursor.fetchall()]
        texts = ", ".join(f"CONVERT(nvarchar(200), {name}, 121)" for name in columns)
        cursor.execute(f"SELECT {texts} FROM dbo.{table} ORDER BY 1")
        into.execute(f"SET IDENTITY_INSERT dbo.{table} ON")
        row = f"({', '.join(['%s'] * len(columns))})"
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            into.execute(
                f"INSERT INTO dbo.{table} ({', '.join(columns)}) VALUES {', '.join([row] * len(rows))}",
                tuple(value for found in rows for value in found),
            )
        into.execute(f"SET IDENTITY_INSERT dbo.{table} OFF")


# ---------------------------------------------------------------- S3
@contextmanager
def buckets_of_this_run() -> Iterator[dict[str, str]]:
    """What a function's environment says of the S3 that FLOWFORGE_TEST_S3 names; buckets of `bucket_prefix` go with the block."""
    where = address(S3)
    assert where is not None
    region = os.environ.get(f"{S3}_REGION", "us-east-1")
    keys = {name: secret(f"{S3}_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    yield {
        **{f"AWS_{name}": value for name, value in keys.items()},
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL_S3": where.geturl(),
    }
    import boto3

    client = boto3.client(
        "s3", endpoint_url=where.geturl(), region_name=region,
        aws_access_key_id=keys["ACCESS_KEY_ID"], aws_secret_access_key=keys["SECRET_ACCESS_KEY"],
    )  # fmt: skip
    for bucket in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        if bucket.startswith(bucket_prefix()):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for found in page.get("Contents", ()):
                    client.delete_object(Bucket=bucket, Key=found["Key"])
            client.delete_bucket(Bucket=bucket)
    client.close()


_RUN = uuid.uuid4().hex[:8]


def bucket_prefix() -> str:
    """What the names of this process' buckets begin with."""
    return f"lake-{_RUN}-"
