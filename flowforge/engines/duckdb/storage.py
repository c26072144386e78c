"""How deltalake and DuckDB reach S3: one place for credentials, endpoint and limits.

Guarantees: both engines use the same credentials, region and endpoint, session tokens included; DuckDB writes only below
/tmp, loads no extension but the packaged httpfs and never downloads one. Delta commits are conditional writes (If-None-Match),
which is delta-rs' way on S3 when nothing else is asked for: no lock table.

Resource management: `duckdb_connection` is a context manager; its spill folder goes with it.
"""

import importlib.util
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flowforge.domain.errors import Fatal
from flowforge.engines.duckdb.folding import key_of_macro
from flowforge.engines.duckdb.sql import literal

RETRY_TIMEOUT = "30s"  # delta-rs' own is three minutes, longer than a function may have left
APPLICATION = "AWS_SDK_UA_APP_ID"  # who is calling, for the store's logs: boto3 says it of its own accord
DUCKDB_SHARE = 0.4  # of the function's memory; delta-rs, which takes what it needs, has the rest

# DuckDB hashes the extension's 22 MB for each LOAD, 55 ms of CPU: the file is checked once in a process. User's SQL cannot LOAD.
_signature_checked = threading.Event()


def storage_options() -> dict[str, str]:
    """deltalake's options for S3 from the environment, or from the caller's AWS profile where it names no keys."""
    key, secret, token = _credentials()
    options = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": _region()}
    options["retry_timeout"] = RETRY_TIMEOUT
    if application := os.environ.get(APPLICATION):
        options["user_agent"] = f"delta-rs app/{application}"
    if token:
        options["AWS_SESSION_TOKEN"] = token
    if endpoint := _endpoint():
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = "false"
        options["AWS_ALLOW_HTTP"] = str(endpoint.startswith("http://")).lower()
    return options


@contextmanager
def duckdb_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-process DuckDB that reads s3:// with this process's credentials; time zone UTC, spills below /tmp."""
    with tempfile.TemporaryDirectory(prefix="flowforge-duckdb-") as spill:
        config = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": False,
            "temp_directory": spill,
            "allow_unsigned_extensions": _signature_checked.is_set(),
        }
        if application := os.environ.get(APPLICATION):
            config["custom_user_agent"] = f"app/{application}"
        if megabytes := os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"):
            config["memory_limit"] = f"{int(int(megabytes) * DUCKDB_SHARE)}MiB"
        with duckdb.connect(":memory:", config=config) as connection:
            connection.execute(f"LOAD {literal(str(_httpfs()))}")
            _signature_checked.set()
            connection.execute("SET enable_progress_bar = false")  # it is drawn into logs, too
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_http_metadata_cache = true")  # objects never change: one HEAD each is enough
            connection.execute("SET s3_uploader_max_filesize = '50GB'")  # parts of 5 MB, not 80, are held in memory
            connection.execute(_secret())
            connection.execute(key_of_macro())
            yield connection


def confine(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
    """From here on the connection reads `paths` (S3 objects) and nothing else, writes nowhere and keeps its settings.

    For SQL that was written by somebody else: it runs with this process's credentials.
    """
    connection.execute("SET allowed_paths = ?", [paths])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _secret() -> str:
    key, secret, token = _credentials()
    parts = ["TYPE s3", f"KEY_ID {literal(key)}", f"SECRET {literal(secret)}", f"REGION {literal(_region())}"]
    if token:
        parts.append(f"SESSION_TOKEN {literal(token)}")
    if endpoint := _endpoint():
        url = urlsplit(endpoint)
        parts += [f"ENDPOINT {literal(url.netloc + url.path.rstrip('/'))}", "URL_STYLE 'path'"]
        parts.append(f"USE_SSL {str(url.scheme == 'https').lower()}")
    return f"CREATE SECRET lake ({', '.join(parts)})"


def _credentials() -> tuple[str, str, str | None]:
    if "AWS_ACCESS_KEY_ID" in os.environ and "AWS_SECRET_ACCESS_KEY" in os.environ:
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        return key, secret, os.environ.get("AWS_SESSION_TOKEN") or None
    import boto3

    found = boto3.Session().get_credentials()
    if found is None:
        raise Fatal(
            "no AWS credentials for the lake", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    frozen = found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def _region() -> str:
    if named := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        return named
    import boto3

    return boto3.Session().region_name or "us-east-1"


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _httpfs() -> Path:
    package = importlib.util.find_spec("duckdb_extension_httpfs")
    if package is None or not package.submodule_search_locations:
        raise Fatal("the package duckdb_extension_httpfs is missing", "install it in DuckDB's own version")
    folder = Path(package.submodule_search_locations[0])
    return folder / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
