"""Connections: saved ones by id, inline ones turned into a reference. The password lives in the secret store only."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from events.hosts import checked_host, with_address
from events.model import Request
from events.request import Connection, Driver, InvalidRequest, mistakes_of, other_logins
from events.targets import ConnectionReference
from flowforge.aws import items, secrets
from flowforge.domain.errors import NotFound
from flowforge.domain.given import given
from flowforge.runtime.settings import settings


class SavedConnection(Request):
    """What a user sends to save a connection."""

    id: str
    host: str = Field(min_length=1)
    port: int = Field(1433, ge=1, le=65535)
    database: str = Field(min_length=1)
    username: str = Field(min_length=1)
    password: str = Field(min_length=1, repr=False)
    trustServerCertificate: bool = False
    driver: Driver = "auto"
    maxConcurrentReads: int | None = Field(None, ge=1, le=1000)

    _address = model_validator(mode="before")(with_address)
    _host = field_validator("host")(checked_host)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Only logins by user name and password."""
        yield from other_logins(given)

    @field_validator("id")
    @classmethod
    def _plain_id(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
            raise ValueError("expected letters, digits, _ . and - (at most 64)")
        return value


def save(document: dict[str, Any]) -> dict[str, Any]:
    """Saves a connection and its login; returns what may be shown of it. Raises InvalidRequest with every mistake."""
    try:
        saved = SavedConnection.model_validate(document)
        Connection(**saved.model_dump(exclude={"id"}))
    except ValidationError as error:
        raise InvalidRequest(mistakes_of(error)) from None
    place = secrets.Place(saved.host, saved.port, saved.database, saved.trustServerCertificate)
    secret_id, version = secrets.store_login(_secret_id(saved.id), saved.username, saved.password, place)
    item = {
        "pk": saved.id,
        **saved.model_dump(exclude={"id", "password"}),
        "secret_id": secret_id,
        "secret_version": version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    items.put(settings().connections_table, item)
    return _shown(item)


def list_saved() -> list[dict[str, Any]]:
    """All saved connections, by id, without their secrets."""
    return sorted(map(_shown, items.scan(settings().connections_table)), key=lambda shown: shown["id"])


def remove(connection_id: str) -> None:
    """Removes a connection and its secret; raises NotFound when there is none of that id."""
    _read(connection_id)
    secrets.delete_login(_secret_id(connection_id))
    items.delete(settings().connections_table, {"pk": connection_id})


def saved_reference(connection_id: str) -> ConnectionReference:
    """The reference of a saved connection."""
    item = _read(connection_id)
    return ConnectionReference(
        host=item["host"],
        port=item["port"],
        database=item["database"],
        secret_id=item["secret_id"],
        trust_server_certificate=item["trustServerCertificate"],
        driver=item["driver"],
        max_concurrent_reads=item.get("maxConcurrentReads"),
    )


def to_reference(connection: Connection) -> ConnectionReference:
    """The reference of a connection in a request; an inline password goes into the secret store.

    Raises InvalidRequest for a secret that no request may name, SecretRefused for one that belongs to another place.
    """
    if connection.connectionId:
        return saved_reference(connection.connectionId)
    host, database = given(connection.host), given(connection.database)
    place = secrets.Place(host, connection.port, database, connection.trustServerCertificate)
    secret_id, version = connection.secretId, None
    if secret_id is None:
        username = given(connection.username)
        where = secrets.inline_secret_id(place.host, place.port, place.database, username)
        secret_id, version = secrets.store_login(where, username, given(connection.password), place)
    else:
        check_secret_id(secret_id)
        secrets.read_login(secret_id, None, place)
    return ConnectionReference(
        host=host,
        port=connection.port,
        database=database,
        secret_id=secret_id,
        secret_version=version,
        trust_server_certificate=connection.trustServerCertificate,
        driver=connection.driver,
        max_concurrent_reads=connection.maxConcurrentReads,
    )


def check_secret_id(secret_id: str) -> None:
    """Raises InvalidRequest for a secret that no request may name."""
    if problem := secrets.refusal_of(secret_id):
        raise InvalidRequest([{"field": "connection.secretId", "problem": problem}])


def _secret_id(connection_id: str) -> str:
    return f"{settings().secret_prefix}connections/{connection_id}"


def _read(connection_id: str) -> items.Item:
    item = items.get(settings().connections_table, {"pk": connection_id})
    if not item:
        raise NotFound(
            f"no saved connection {connection_id!r}",
            "flowforge connections list shows them; one is saved by: flowforge connections add ID --host HOST --database NAME "
            "--username USER.",
        )
    return item


def _shown(item: items.Item) -> dict[str, Any]:
    fields = (
        "host",
        "port",
        "database",
        "username",
        "trustServerCertificate",
        "driver",
        "maxConcurrentReads",
        "created_at",
    )
    return {"id": item["pk"], **{field: item.get(field) for field in fields}}
