"""Which certificate authorities may vouch for a SQL Server, and how each driver is told.

pymssql (FreeTDS) verifies a certificate only when its configuration file names a CA, whatever `encryption` says. That
file is written once per process and target, with no password in it. OpenSSL inside mssql-python reads SSL_CERT_FILE
when it first connects.
"""

import atexit
import hashlib
import os
import shutil
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from events.targets import ConnectionReference
from flowforge.domain.errors import UnsupportedSource
from flowforge.runtime.settings import settings

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)

# FreeTDS' own, which win over what a connection asks for: the password would go to another server (freetds.org, userguide).
OVERRIDES = ("TDSHOST", "TDSPORT", "TDSVER")

_configuration_lock = threading.Lock()
_environment_lock = threading.Lock()
_sections: dict[str, str] = {}


def ca_file() -> str:
    """The PEM bundle that signs the source's certificate: FLOWFORGE_SOURCE_CA_FILE, else the system's.

    Raises UnsupportedSource when there is none: an unverified connection is only made when it is asked for.
    """
    found = _find_ca_file()
    if found is None:
        named = settings().source_ca_file
        raise UnsupportedSource(
            f"no CA certificates to verify the SQL Server with ({named or 'the system has no bundle'})",
            "set FLOWFORGE_SOURCE_CA_FILE to the PEM file of the CA, or trustServerCertificate to true",
        )
    return found


def freetds_server(reference: ConnectionReference) -> str:
    """The name under which FreeTDS knows the server and its CA; makes the process' FreeTDS configuration hold it."""
    if any(ch in reference.host for ch in "\r\n\x00 "):
        raise UnsupportedSource(f"{reference.host!r} is not a host name", "give a host name or address alone")
    lines = [f"host = {reference.host}", f"port = {reference.port}", "encryption = require", "tds version = 7.4"]
    lines += ["client charset = UTF-8", "text size = 2147483647"]
    if not reference.trust_server_certificate:
        lines += [f"ca file = {ca_file()}", "check certificate hostname = yes"]
    section = "\n\t".join(lines)
    name = "flowforge-" + hashlib.sha256(section.encode()).hexdigest()[:16]
    with _configuration_lock:
        for variable in OVERRIDES:
            os.environ.pop(variable, None)
        if name not in _sections or os.environ.get("FREETDSCONF") != str(_configuration_path()):
            _sections[name] = section
            _write_configuration()
    return name


@contextmanager
def openssl_trust(reference: ConnectionReference) -> Iterator[None]:
    """Points OpenSSL at the CA while a driver connects, and puts the environment back: other clients keep their bundle.

    Also for a connection that trusts anything: it may be the process' first, and OpenSSL looks only then.
    """
    path = _find_ca_file() if reference.trust_server_certificate else ca_file()
    with _environment_lock:
        before = os.environ.get("SSL_CERT_FILE")
        if path:
            os.environ["SSL_CERT_FILE"] = path
        try:
            yield
        finally:
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before
            elif path:
                del os.environ["SSL_CERT_FILE"]


def _find_ca_file() -> str | None:
    named = settings().source_ca_file
    candidates = (named,) if named else (ssl.get_default_verify_paths().cafile, *SYSTEM_BUNDLES)
    return next((path for path in candidates if path and Path(path).is_file()), None)


@lru_cache(maxsize=1)
def _configuration_path() -> Path:
    folder = tempfile.mkdtemp(prefix="flowforge-freetds-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "freetds.conf"


def _write_configuration() -> None:
    path = _configuration_path()
    text = "".join(f"[{name}]\n\t{section}\n" for name, section in _sections.items())
    # Replaced whole: another thread may be connecting.
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)
    os.environ["FREETDSCONF"] = str(path)
