"""DuckDB's instances, and how one reaches the lake.

To make an instance takes 15 ms of CPU, more than all statements of a small batch. So one in which a session has left nothing is
kept in a warm process, and the next session has it.

Guarantees: DuckDB has this process's credentials, spills only below /tmp, loads no extension but the packaged httpfs and never
downloads one. A session has its instance for itself, and settings, temporary tables and, for what is not temporary, a catalog of
its own in it, which go with it. Kept is only an instance whose session has ended well, has not reached S3 (what httpfs remembers
of an object is not what is there later) and was not confined (that is for good).

Resource management: `duckdb_session` is a context manager. DuckDB makes the folder into which an instance spills when it does so
first, and deletes it with the instance.
"""

import gzip
import importlib.util
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flowforge.aws.clients import APPLICATION
from flowforge.aws.store_access import StoreAccess, store_access
from flowforge.domain.errors import Fatal
from flowforge.engines.duckdb.folding import key_of_macro
from flowforge.engines.duckdb.sql import literal
from flowforge.runtime.deployment import current

DUCKDB_SHARE = 0.4  # of the function's memory; delta-rs, which takes what it needs, has the rest

# DuckDB hashes the extension's 22 MB for each LOAD, 55 ms of CPU: the file is checked once in a process. User's SQL cannot LOAD.
_signature_checked = threading.Event()


class Instance:
    """One DuckDB for one session at a time. `connection` is the session's."""

    def __init__(self) -> None:
        self.reaches_store, self.is_confined, self._has_catalog = False, False, False
        self._sessions = 0
        spill = Path(tempfile.gettempdir(), f"flowforge-duckdb-{os.getpid()}-{uuid.uuid4().hex[:12]}")
        config = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": False,
            "enable_external_file_cache": False,  # it would outlive the session
            "temp_directory": str(spill),
            "threads": 1,  # for copies of small objects, and Arrow's rows: others would cost more than they save
            "allow_unsigned_extensions": _signature_checked.is_set(),
        }
        if application := os.environ.get(APPLICATION):
            config["custom_user_agent"] = f"app/{application}"
        if megabytes := os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"):
            config["memory_limit"] = f"{int(int(megabytes) * DUCKDB_SHARE)}MiB"
        self._database = self.connection = duckdb.connect(":memory:", config=config)
        self.connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self.connection.execute(key_of_macro())  # in the catalog `memory`, which has nothing else

    def begin(self) -> None:
        """Gives a session its connection. Unlike the instance's own, it draws no progress bar."""
        self._sessions, self._has_catalog = self._sessions + 1, False
        self.connection = self._database.cursor()

    def own_catalog(self) -> None:
        """Gives the session a catalog that is empty, for what is not temporary. Most make nothing of the kind."""
        if not self._has_catalog:
            self._has_catalog = True
            found = f"SET search_path = '{self._catalog}.main,memory.main'"
            self.connection.execute(f"ATTACH ':memory:' AS {self._catalog}; {found}")

    def end(self) -> bool:
        """Drops what the session has made; whether nothing of it is left, so that another one may have the instance."""
        if self.reaches_store or self.is_confined:
            return False
        if self._has_catalog:
            self.connection.execute(f"USE memory; DETACH {self._catalog}")
        self.connection.close()  # with its temporary tables
        return True

    def close(self) -> None:
        """Ends it."""
        self.connection.close()
        self._database.close()

    def reach_store(self) -> bool:
        """From here on s3:// is read and written, unless the session is confined by now; whether that is new."""
        if self.reaches_store or self.is_confined:
            return False
        self.reaches_store = True
        self.connection.execute("RESET threads")
        self.connection.execute(f"LOAD {literal(str(_httpfs()))}")
        _signature_checked.set()
        self.connection.execute("SET enable_external_file_cache = true")
        self.connection.execute(
            "SET enable_http_metadata_cache = true"
        )  # objects never change: one HEAD each is enough
        self.connection.execute("SET s3_uploader_max_filesize = '50GB'")  # parts of 5 MB, not 80, are held in memory
        access = store_access()
        if access.authorities:
            self.connection.execute(f"SET ca_cert_file = {literal(access.authorities)}")
        self.connection.execute(_secret(access))
        return True

    def confine(self, paths: list[str]) -> None:
        """See `confine`."""
        self.own_catalog()
        self.connection.execute("RESET threads")  # what somebody else's SQL makes of a few rows may be much
        confine(self.connection, paths)
        self.is_confined = True

    @property
    def _catalog(self) -> str:
        return f"flowforge_session_{self._sessions}"


@contextmanager
def duckdb_session() -> Iterator[Instance]:
    """An in-process DuckDB; time zone UTC, spills below /tmp. Told to, it reaches S3 with this process's credentials."""
    kept = current().once(("duckdb", os.getpid()), list[Instance])  # in a fork nobody looks at the parent's again
    try:
        instance = kept.pop()
    except IndexError:
        instance = Instance()
    is_empty = False
    try:
        instance.begin()
        yield instance
        is_empty = instance.end()
    finally:
        if is_empty and not kept:
            kept.append(instance)
        else:
            instance.close()


@contextmanager
def duckdb_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection of an instance that reads s3://."""
    with duckdb_session() as instance:
        instance.reach_store()
        yield instance.connection


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
