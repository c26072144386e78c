"""A job request as a file: read as it stands, sent as it stands.

Only what the route needs is looked at here; the API judges the document. A document without a usable workflow_id has no
route, so its mistakes are named here, all at once, by the same contract.
"""

import json
import sys
from pathlib import Path
from typing import Any

from flowforge.cli.failure import BadRequest

OPTIONS = "--from, --to and --backfill-column"


def read_document(name: str) -> tuple[bytes, dict[str, Any]]:
    """The bytes to send (UTF-8) and the parsed object of a request file (`-` is stdin); BadRequest when it is not a
    JSON object."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {name}: {error.strerror or error}") from error
    from events.documents import Unreadable, read_json

    name = "stdin" if name == "-" else name
    if not content.strip():
        raise BadRequest(f"{name} is empty", "give a job request as JSON, such as examples/request-customers.json")
    try:
        document = read_json(content)
    except Unreadable as error:
        raise BadRequest(f"{name} cannot be read: {error}", mistakes=_whole(str(error))) from error
    if not isinstance(document, dict):
        raise BadRequest(f"{name} is not a job request", mistakes=_whole("expected a JSON object"))
    return content if _is_utf8(content) else json.dumps(document).encode(), document


def _is_utf8(content: bytes) -> bool:
    return json.detect_encoding(content) == "utf-8"


def workflow_of(document: dict[str, Any], name: str) -> str:
    """The workflow that the document belongs to; BadRequest with every mistake of the document when it names none."""
    workflow = document.get("workflow_id")
    if isinstance(workflow, str) and workflow:
        return workflow
    from events.request import InvalidRequest, parse_job_request

    mistakes = [{"field": "workflow_id", "problem": "missing; it is required"}]
    try:
        parse_job_request(document)
    except InvalidRequest as error:
        mistakes = error.mistakes
    raise BadRequest(f"{name} is not a valid job request", mistakes=mistakes)


def redirected(document: dict[str, Any], source: str | None, connection: str | None) -> dict[str, Any]:
    """A copy of the document that reads from `source` (host:port) or from a saved connection."""
    config = document.get("source_config")
    inline = config.get("connection") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(inline, dict):
        raise BadRequest("the document has no source_config.connection to replace")
    if connection is not None:
        replaced: dict[str, Any] = {"connectionId": connection}
    else:
        host, _, port = (source or "").rpartition(":")
        if not host or not port.isdecimal():
            raise BadRequest(f"--source {source}: expected HOST:PORT")
        replaced = {**inline, "host": host.strip("[]"), "port": int(port)}
    return {**document, "source_config": {**config, "connection": replaced}}


def windowed(document: dict[str, Any], low: str | None, high: str | None, column: str | None = None) -> dict[str, Any]:
    """A copy of the document that loads a part of each of its tables once more: from `low` on, below `high`; or all that is
    loaded, for a `column`."""
    source = document.get("source_config")
    config = source.get("databaseConfig") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(config, dict):
        raise BadRequest(
            f"{OPTIONS} are for tables of a database: the document has no source_config.databaseConfig",
            "files are loaded once more under another name, or all of a job's: flowforge watermark reset TABLE --yes",
        )
    asked = (("from", low), ("to", high), ("column", column))
    window = {name: value for name, value in asked if value is not None}
    tables = config.get("tables")
    if isinstance(tables, list):
        patterns = [str(entry) for entry in tables if not isinstance(entry, dict)]
        if patterns:
            raise BadRequest(
                f"{OPTIONS} need a deltaColumn, and patterns have none: {', '.join(patterns[:5])}",
                "name the tables instead, each with its deltaColumn",
            )
        config = {**config, "tables": [{**entry, "window": window} for entry in tables]}
    else:
        config = {**config, "window": window}
    return {**document, "source_config": {**source, "databaseConfig": config}}


def _whole(problem: str) -> list[dict[str, str]]:
    return [{"field": "(document)", "problem": problem}]
