"""Connections: saved ones by id, inline ones turned into a reference. The password lives in the secret store only."""

from datetime import UTC, datetime
from typing import Any

from events.api.connections import SavedConnection
from events.choices import DatabaseKind
from events.request import Connection, InvalidRequest
from events.targets import ConnectionReference
from flowforge.aws import items, secrets
from flowforge.domain.errors import ConflictingTarget, NotFound
from flowforge.domain.given import given
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings


def save(saved: SavedConnection) -> dict[str, Any]:
    """Saves a connection and its login; returns what may be shown of it."""
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


def list_saved(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """At most `limit` saved connections, without their secrets, as `connections`; `next` is there where others follow. A page is
    in the order of ids, and pages in none. Raises InvalidRequest for a cursor that is none."""
    options: dict[str, Any] = {"Limit": limit + 1}
    if place := place_of(cursor, 1):
        options["ExclusiveStartKey"] = items.encode({"pk": place[0]})
    found = list(items.scan(settings().connections_table, **options))
    shown = fitting(map(_shown, found[:limit]))
    more = {"next": cursor_of(shown[-1]["id"])} if shown and len(shown) < len(found) else {}
    return {"connections": sorted(shown, key=lambda one: one["id"]), **more}


def remove(connection_id: str) -> None:
    """Removes a connection and its secret; raises NotFound when there is none of that id, ConflictingTarget when somebody else
    has saved it meanwhile."""
    found = _read(connection_id)
    secrets.delete_login(_secret_id(connection_id))
    unchanged = "attribute_not_exists(pk) OR (created_at = :at AND secret_version = :version)"
    seen = {":at": found["created_at"], ":version": found["secret_version"]}
    if not items.delete(settings().connections_table, {"pk": connection_id}, unchanged, seen):
        raise ConflictingTarget(
            f"connection {connection_id!r} was saved by somebody else while it was removed",
            "Save it again, so that its password is there for sure; or remove it again.",
        )


def saved_reference(connection_id: str, kind: DatabaseKind = "sql-server") -> ConnectionReference:
    """The reference of a saved connection."""
    item = _read(connection_id)
    return ConnectionReference(
        kind=kind,
        host=item["host"],
        port=item["port"],
        database=item["database"],
        secret_id=item["secret_id"],
        trust_server_certificate=item["trustServerCertificate"],
        driver=item["driver"],
        max_concurrent_reads=item.get("maxConcurrentReads"),
    )


def to_reference(connection: Connection, kind: DatabaseKind = "sql-server") -> ConnectionReference:
    """The reference of a connection in a request to a database of this kind; an inline password goes into the secret store.

    Raises InvalidRequest for a secret that no request may name, SecretRefused for one that belongs to another place.
    """
    if connection.connectionId:
        return saved_reference(connection.connectionId, kind)
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
        kind=kind,
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


def shown_reference(shown: dict[str, Any]) -> ConnectionReference:
    """The reference of a saved connection as the API shows it; asks no table."""
    return ConnectionReference(
        host=shown["host"],
        port=shown["port"],
        database=shown["database"],
        secret_id=_secret_id(shown["id"]),
        trust_server_certificate=bool(shown["trustServerCertificate"]),
        driver=shown["driver"],
    )


def saved_id(secret_id: str) -> str | None:
    """The id of the saved connection whose secret this is; None of any other secret."""
    prefix = _secret_id("")
    return secret_id.removeprefix(prefix) if secret_id.startswith(prefix) else None


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
