"""DuckDB's connection to the lake.

Guarantees: DuckDB has this process's credentials, spills only below /tmp, loads no extension but the packaged httpfs and never
downloads one.

Resource management: `duckdb_connection` is a context manager; its spill folder goes with it.
"""

import gzip
import importlib.util
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flowforge.aws.store_access import StoreAccess, store_access
from flowforge.domain.errors import Fatal
from flowforge.engines.duckdb.folding import key_of_macro
from flowforge.engines.duckdb.sql import literal

DUCKDB_SHARE = 0.4  # of the function's memory; delta-rs, which takes what it needs, has the rest

# DuckDB hashes the extension's 22 MB for each LOAD, 55 ms of CPU: the file is checked once in a process. User's SQL cannot LOAD.
_signature_checked = threading.Event()


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
        access = store_access()
        if access.application:
            config["custom_user_agent"] = f"app/{access.application}"
        if megabytes := os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"):
            config["memory_limit"] = f"{int(int(megabytes) * DUCKDB_SHARE)}MiB"
        with duckdb.connect(":memory:", config=config) as connection:
            connection.execute(f"LOAD {literal(str(_httpfs()))}")
            _signature_checked.set()
            connection.execute("SET enable_progress_bar = false")  # it is drawn into logs, too
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_http_metadata_cache = true")  # objects never change: one HEAD each is enough
            connection.execute("SET s3_uploader_max_filesize = '50GB'")  # parts of 5 MB, not 80, are held in memory
            connection.execute(_secret(access))
            connection.execute(key_of_macro())
            yield connection


def confine(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
    """From here on the connection reads `paths` (S3 objects) and nothing else, writes nowhere and keeps its settings.

    For SQL that was written by somebody else: it runs with this process's credentials.
    """
    connection.execute("SET allowed_paths = ?", [paths])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _secret(access: StoreAccess) -> str:
    parts = ["TYPE s3", f"KEY_ID {literal(access.key)}", f"SECRET {literal(access.secret)}"]
    parts.append(f"REGION {literal(access.region)}")
    if access.token:
        parts.append(f"SESSION_TOKEN {literal(access.token)}")
    if access.endpoint:
        url = urlsplit(access.endpoint)
        parts += [f"ENDPOINT {literal(url.netloc + url.path.rstrip('/'))}", "URL_STYLE 'path'"]
        parts.append(f"USE_SSL {str(url.scheme == 'https').lower()}")
    return f"CREATE SECRET lake ({', '.join(parts)})"


def _httpfs() -> Path:
    package = importlib.util.find_spec("duckdb_extension_httpfs")
    if package is None or not package.submodule_search_locations:
        raise Fatal("the package duckdb_extension_httpfs is missing", "install it in DuckDB's own version")
    folder = Path(package.submodule_search_locations[0])
    file = folder / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    return file if file.exists() else _unpacked(file.with_name(f"{file.name}.gz"))


def _unpacked(packed: Path) -> Path:
    """The extension of a function's package, where it is kept compressed; unpacked below /tmp once in an environment."""
    file = Path(tempfile.gettempdir(), f"flowforge-httpfs-{duckdb.__version__}", packed.stem)
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            whole = Path(folder, packed.stem)
            with gzip.open(packed) as source, whole.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            whole.replace(file)
    return file
