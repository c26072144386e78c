"""The secret store: passwords go in, references come out.

Guarantees: a secret's id is made here and starts with the deployment's prefix; a version is pinned in the reference, so that a
later wrong password for the same login does not break a run that is under way; no error text holds a secret's value.
"""

import hashlib
import json

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.cloud.clients import client, error_code, unavailable
from flowforge.errors import NotFound
from flowforge.settings import settings


def inline_secret_id(host: str, port: int, database: str, username: str) -> str:
    """The id under which an inline password is kept: one per server, database and login."""
    digest = hashlib.sha256(json.dumps([host.lower(), port, database, username]).encode()).hexdigest()[:16]
    return f"{settings().secret_prefix}inline/{digest}"


def store_login(secret_id: str, username: str, password: str) -> tuple[str, str]:
    """Keeps a login; returns (secret id, version id). Storing the same login again returns the version that holds it."""
    secrets, text = client("secretsmanager"), json.dumps({"username": username, "password": password})
    try:
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
    except (ClientError, BotoCoreError) as error:
        raise unavailable("Secrets Manager", error) from error


def _create(secret_id: str, text: str) -> str:
    secrets = client("secretsmanager")
    try:
        return secrets.create_secret(Name=secret_id, SecretString=text)["VersionId"]
    except ClientError as error:
        if error_code(error) != "ResourceExistsException":
            raise
        return secrets.put_secret_value(SecretId=secret_id, SecretString=text)["VersionId"]


def read_login(secret_id: str, version: str | None = None) -> tuple[str, str]:
    """The (username, password) of a secret; a version that the store has dropped falls back to the current one.

    Raises NotFound when there is no such secret, or it is not {"username", "password"}.
    """
    secrets = client("secretsmanager")
    try:
        try:
            found = secrets.get_secret_value(SecretId=secret_id, **({"VersionId": version} if version else {}))
        except ClientError as error:
            if not version or error_code(error) != "ResourceNotFoundException":
                raise
            found = secrets.get_secret_value(SecretId=secret_id)
    except ClientError as error:
        if error_code(error) in ("ResourceNotFoundException", "InvalidRequestException", "AccessDeniedException"):
            raise NotFound(
                f"secret {secret_id!r} cannot be read ({error_code(error)})",
                f'Create it under {settings().secret_prefix} as {{"username", "password"}}, or send the login inline.',
            ) from error
        raise unavailable("Secrets Manager", error) from error
    except BotoCoreError as error:
        raise unavailable("Secrets Manager", error) from error
    try:
        login = json.loads(found["SecretString"])
        return login["username"], login["password"]
    except (KeyError, ValueError, TypeError):
        raise NotFound(
            f'secret {secret_id!r} is not a JSON object with "username" and "password"', "Store it in that form."
        ) from None


def read_api_key(secret_id: str) -> str:
    """The API key of a secret that is `{"apiKey"}`. Raises NotFound when there is no such secret, or it is not of that form."""
    form = f'Create it under {settings().secret_prefix}lineage/ as {{"apiKey": "…"}}.'
    try:
        found = client("secretsmanager").get_secret_value(SecretId=secret_id)
        return str(json.loads(found["SecretString"])["apiKey"])
    except ClientError as error:
        if error_code(error) in ("ResourceNotFoundException", "InvalidRequestException", "AccessDeniedException"):
            raise NotFound(f"secret {secret_id!r} cannot be read ({error_code(error)})", form) from error
        raise unavailable("Secrets Manager", error) from error
    except BotoCoreError as error:
        raise unavailable("Secrets Manager", error) from error
    except (KeyError, ValueError, TypeError):
        raise NotFound(f'secret {secret_id!r} is not a JSON object with "apiKey"', form) from None


def delete_login(secret_id: str) -> None:
    """Deletes a secret; one that is gone already is fine. It can be restored for seven days."""
    try:
        client("secretsmanager").delete_secret(SecretId=secret_id, RecoveryWindowInDays=7)
    except ClientError as error:
        if error_code(error) not in ("ResourceNotFoundException", "InvalidRequestException"):
            raise unavailable("Secrets Manager", error) from error
