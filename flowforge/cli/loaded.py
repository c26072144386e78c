"""Which source a table was loaded from, as the API tells it: commands that look at a source look at that one."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from events.names import plain_name
from flowforge.cli.failure import BadRequest, Failure

if TYPE_CHECKING:
    from flowforge.cli.api import Api


_IN_ADDRESSES = re.compile(r"[A-Za-z0-9_.-]+")


def address_of(api: "Api", name: str) -> str:
    """What names a loaded table in an address: its name, or its id where that has signs which gateways decode in different ways.

    Raises BadRequest where several tables have the name, Failure where none has.
    """
    if _IN_ADDRESSES.fullmatch(name):
        return name
    listed = [(table["id"], table["source_key"], table["source_table"] or "") for table in _listed(api)]
    exact = [one[0] for one in listed if name in one or plain_name(name) in one]
    wanted = (name.lower(), plain_name(name).lower())
    found = exact or [one[0] for one in listed if one[2].lower() in wanted]
    if len(found) > 1:
        raise BadRequest(f"{name!r} names {len(found)} watermarks: {', '.join(found)}", "name one by its id")
    if not found:
        raise Failure(
            f"no watermark for table {name!r}", "`flowforge watermark list` names what was loaded", error="NotFound"
        )
    return found[0]


def source_of_table(api: "Api", name: str) -> dict[str, Any] | None:
    """The database that a table was loaded from last; None for a table that was never loaded, or from files."""
    try:
        return _database(api, address_of(api, name))
    except Failure as failure:
        if failure.error == "NotFound":
            return None
        # It was loaded under several names, which is no matter where all of them come from one place.
        wanted = (name.lower(), plain_name(name).lower())
        places = _places(one for one in _listed(api) if (one["source_table"] or "").lower() in wanted)
        if len(places) != 1:
            raise
        return _database(api, next(iter(places.values())))


def only_source(api: "Api") -> dict[str, Any] | None:
    """The one connection that tables were loaded by; None where there are none yet. BadRequest where there are several."""
    try:
        places = _places(_listed(api))
    except Failure as failure:
        if failure.error == "NotFound":
            return None
        raise
    if len(places) > 1:
        raise BadRequest(
            f"which SQL Server? tables were loaded from {', '.join(sorted(places))}",
            "name one with --connection ID, --request FILE, or --host, --database and --username",
        )
    return _database(api, next(iter(places.values()))) if places else None


def _listed(api: "Api") -> list[dict[str, Any]]:
    return api.all_pages("watermarks", "watermarks")["watermarks"]


def _places(listed: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The databases that tables were loaded from, each with the id of one such table."""
    from flowforge.domain.source_key import SourceKey

    keys = [(SourceKey.parse(one["source_key"]), one["id"]) for one in listed]
    return {f"{key.server}/{key.database}": identity for key, identity in keys if not key.is_files}


def _database(api: "Api", address: str) -> dict[str, Any] | None:
    connection = api.get("watermarks", address).get("connection")
    return None if connection and "bucket" in connection else connection


def refuse_another(mark: dict[str, Any], host: str, port: int, database: str) -> None:
    """Raises Failure where a table was loaded from another server or database than this one."""
    loaded = mark.get("connection")
    if not loaded:
        return
    if "bucket" in loaded:
        raise Failure(
            f"{mark['bronze_table']} was loaded from files of s3://{loaded['bucket']}, which are not compared with the lake",
            "name a table that was loaded from a database",
        )
    theirs = (_host(loaded["host"]), loaded["port"], loaded["database"].lower())
    if theirs != (_host(host), port, database.lower()):
        raise Failure(
            f"{mark['bronze_table']} was loaded from {loaded['host']}:{loaded['port']}/{loaded['database']}, "
            f"not from {host}:{port}/{database}",
            "leave the source's options out, or name the one that it was loaded from",
            error="SourceMismatch",
        )


def _host(name: str) -> str:
    return "localhost" if name.lower() in ("127.0.0.1", "::1") else name.lower()
