"""The secret store: passwords go in, references come out.

Guarantees: a secret's id is made here and starts with the deployment's prefix; a version is pinned in the reference, so that a
later wrong password for the same login does not break a run that is under way; no error text holds a secret's value. A login is
given out for the server and database that its secret names, and for no other: else whoever may name a secret could have its
password sent to a server of theirs. A version that was read is kept in memory for a minute; a secret that is named without a
version is read each time, so that a rotation is seen by the next load.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.domain.errors import NotFound, SecretRefused
from flowforge.runtime.settings import settings

DEFAULT_PORT = 1433
KEY_BYTES = 32  # of HMAC-SHA256: a shorter key is weaker than its hash
KEPT_SECONDS = 60.0  # a worker that loads table after table asks once; one that stays idle forgets at its next read
FORM = '{"username", "password", "host", "port", "database"}'
RESERVED = (
    "connections/",
    "lineage/",
    "alerts/",
)  # below the deployment's prefix: named by connectionId, and by nobody


_kept: dict[
    tuple[str, str | None], tuple[str, float]
] = {}  # (id, version) -> its text, and until when it is taken from here


@dataclass(frozen=True)
class Place:
    """Where a login is sent to; `trust` means without a look at the server's certificate."""

    host: str
    port: int
    database: str
    trust: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}, database {self.database}"


def inline_secret_id(host: str, port: int, database: str, username: str) -> str:
    """The id under which an inline password is kept: one per server, database and login."""
    digest = hashlib.sha256(json.dumps([host.lower(), port, database, username]).encode()).hexdigest()[:16]
    return f"{settings().secret_prefix}inline/{digest}"


def store_login(secret_id: str, username: str, password: str, place: Place) -> tuple[str, str]:
    """Keeps a login with the place that it belongs to; returns (secret id, version id). Storing the same again returns the
    version that holds it."""
    kept = {"username": username, "password": password, "host": place.host, "port": place.port}
    text = json.dumps(kept | {"database": place.database, "trustServerCertificate": place.trust})
    secrets = client("secretsmanager")
    with aws_errors("Secrets Manager"):
        try:
            current = secrets.get_secret_value(SecretId=secret_id)
            if current.get("SecretString") == text:
                return secret_id, current["VersionId"]
            return secret_id, secrets.put_secret_value(SecretId=secret_id, SecretString=text)["VersionId"]
        except ClientError as error:
            if error_code(error) == "InvalidRequestException":  # marked for deletion: bring it back
                secrets.restore_secret(SecretId=secret_id)
                return secret_id, secrets.put_secret_value(SecretId=secret_id, SecretString=text)["VersionId"]
            if error_code(error) != "ResourceNotFoundException":
                raise
            return secret_id, _create(secret_id, text)


def _create(secret_id: str, text: str) -> str:
    secrets = client("secretsmanager")
    try:
        return secrets.create_secret(Name=secret_id, SecretString=text)["VersionId"]
    except ClientError as error:
        if error_code(error) != "ResourceExistsException":
            raise
        return secrets.put_secret_value(SecretId=secret_id, SecretString=text)["VersionId"]


def refusal_of(secret_id: str) -> str | None:
    """Why a request may not name this secret; None where it may, for the secret's own place."""
    prefix = settings().secret_prefix
    if not secret_id.startswith(prefix):
        return f"expected the name of a secret under {prefix}, not an ARN and not another secret's"
    if secret_id.removeprefix(prefix).startswith(RESERVED):
        return "the secret of a saved connection is used by connectionId alone; no other secret of FlowForge's own by anybody"
    return None


def read_login(secret_id: str, version: str | None, place: Place) -> tuple[str, str]:
    """The (username, password) of a secret, to be sent to `place`; a version that the store has dropped falls back to the current
    one.

    Raises NotFound when there is no such secret, or it holds no login, SecretRefused when it belongs to another place.
    """
    with aws_errors("Secrets Manager"):
        try:
            text = _read_text(secret_id, version)
        except ClientError as error:
            if error_code(error) in ("ResourceNotFoundException", "InvalidRequestException", "AccessDeniedException"):
                raise NotFound(
                    f"secret {secret_id!r} cannot be read ({error_code(error)})",
                    _mend(error),
                ) from error
            raise
    try:
        login = json.loads(text)
        username, password = login["username"], login["password"]
    except (KeyError, ValueError, TypeError):
        raise NotFound(
            f'secret {secret_id!r} is not a JSON object with "username" and "password"', f"Store it as {FORM}."
        ) from None
    _check_place(secret_id, login, place)
    return username, password


def _read_text(secret_id: str, version: str | None) -> str:
    """A secret's text; one version of it is asked for once in KEPT_SECONDS, since what it holds never changes."""
    now = time.monotonic()
    text, until = _kept.get((secret_id, version), ("", 0.0))
    if version and now < until:
        return text
    secrets = client("secretsmanager")
    try:
        found = secrets.get_secret_value(SecretId=secret_id, **({"VersionId": version} if version else {}))
    except ClientError as error:
        if not version or error_code(error) != "ResourceNotFoundException":
            raise
        found = secrets.get_secret_value(SecretId=secret_id)
    text = found.get("SecretString", "")
    if version and found.get("VersionId") == version:
        for old in [key for key, (_, until) in _kept.items() if until <= now]:
            del _kept[old]
        _kept[secret_id, version] = (text, now + KEPT_SECONDS)
    return text


def _mend(error: ClientError) -> str:
    if error_code(error) == "AccessDeniedException":
        return "Let the function read it: its role needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key."
    return f"Create it under {settings().secret_prefix} as {FORM}, or send the login inline."


def _check_place(secret_id: str, login: dict[str, Any], place: Place) -> None:
    """Raises SecretRefused unless the login belongs to the place. Secrets that an earlier version has stored name no place:
    that of an inline login is in its id, that of a saved connection beside it."""
    if "host" not in login:
        _check_unnamed(secret_id, login, place)
        return
    database = login.get("database") or login.get("dbname")  # RDS writes dbname, or neither
    told = Place(str(login["host"]), _port(login.get("port")), str(database or place.database))
    if (_plain(told.host), told.port, told.database) != (_plain(place.host), place.port, place.database):
        raise SecretRefused(
            f"secret {secret_id!r} belongs to {told}, and is not sent to {place}",
            "Name the server that it belongs to, or a secret of this one's; after a change of a saved connection submit again.",
        )
    if place.trust and login.get("trustServerCertificate") is not True:
        raise SecretRefused(
            f"secret {secret_id!r} is not sent to {place} without a check of the server's certificate",
            'Leave trustServerCertificate out, or put "trustServerCertificate": true into the secret.',
        )


def _check_unnamed(secret_id: str, login: dict[str, Any], place: Place) -> None:
    prefix = settings().secret_prefix
    if secret_id.startswith(f"{prefix}connections/"):
        return
    if secret_id != inline_secret_id(place.host, place.port, place.database, str(login["username"])):
        raise SecretRefused(
            f"secret {secret_id!r} does not say which server it belongs to",
            f'Add "host": "{place.host}", "port": {place.port} and "database" to its JSON, beside "username" and "password".',
        )


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _port(given: Any) -> int:
    text = str(given if given is not None else DEFAULT_PORT)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1


def read_api_key(secret_id: str) -> str:
    """The API key of a secret that is `{"apiKey"}`. Raises NotFound when there is no such secret, or it is not of that form."""
    return _read_field(secret_id, "apiKey", f'Create it under {settings().secret_prefix}lineage/ as {{"apiKey": "…"}}.')


def read_alert_secret(secret_id: str, field: str) -> str:
    """The `key` or `url` of an alert's receiver, of a secret that is an object of it. Raises NotFound as `read_api_key` does."""
    form = f'Create it under {settings().secret_prefix}alerts/ as {{"{field}": "…"}}.'
    return _read_field(secret_id, field, form)


def read_hmac_key(secret_id: str) -> bytes:
    """The key of a secret that is `{"hmacKey"}`, in hexadecimal digits. Raises NotFound when there is no such secret or it is not
    of that form, SecretRefused for one that a request may not name."""
    if refusal := refusal_of(secret_id):
        raise SecretRefused(f"secret {secret_id!r}: {refusal}", "Name one that holds a key for hmac alone.")
    prefix = settings().secret_prefix
    form = f'Create it under {prefix} as {{"hmacKey": "…"}}, 64 or more hexadecimal digits (openssl rand -hex 32).'
    try:
        key = bytes.fromhex(_read_field(secret_id, "hmacKey", form))
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise NotFound(f"secret {secret_id!r} holds no key of {KEY_BYTES} bytes or more", form)
    return key


def _read_field(secret_id: str, field: str, form: str) -> str:
    with aws_errors("Secrets Manager"):
        try:
            found = client("secretsmanager").get_secret_value(SecretId=secret_id)
        except ClientError as error:
            if error_code(error) in ("ResourceNotFoundException", "InvalidRequestException", "AccessDeniedException"):
                raise NotFound(f"secret {secret_id!r} cannot be read ({error_code(error)})", form) from error
            raise
    try:
        value = json.loads(found["SecretString"])[field]
    except (KeyError, ValueError, TypeError):
        value = None
    # Nothing is signed, and nobody shown, by an empty text or the word None.
    if not isinstance(value, str) or not value:
        raise NotFound(f'secret {secret_id!r} is not a JSON object with "{field}", a text that is not empty', form)
    return value


def delete_login(secret_id: str) -> None:
    """Deletes a secret; one that is gone already is fine. It can be restored for seven days."""
    with aws_errors("Secrets Manager"):
        try:
            client("secretsmanager").delete_secret(SecretId=secret_id, RecoveryWindowInDays=7)
        except ClientError as error:
            if error_code(error) not in ("ResourceNotFoundException", "InvalidRequestException"):
                raise
