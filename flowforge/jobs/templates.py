"""Templates: workflows whose connection is left open. Some are shipped as files in `templates/`; others people have saved.

A file is JSON: `title`, `about`, and the `request`; a model's `sql` may be a list of lines there. Its name is the template's.
What is saved is checked as a submission is, as far as that goes without its source; no connection and no password is kept of it.
A shipped template's name is its own.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from events.api.templates import NewTemplate
from events.redaction import redacted
from events.request import InvalidRequest, JobRequest, as_today, parse_job_request
from flowforge.domain.errors import ConflictingTarget, NotFound
from flowforge.jobs.model_texts import with_text_of_models
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.state import templates

FOLDER = Path(__file__).resolve().parents[2] / "templates"
NAME = re.compile(r"[a-z0-9_]{1,64}")
OPEN = "leave it out: a template is run with any saved connection"
LABELLED = "names the objects of one run: leave it out, each run of a template gets one of its own"
NO_TABLES = "a template names its tables: expected a list of them"


def list_templates(limit: int, cursor: str | None = None) -> dict[str, Any]:
    """At most `limit` templates in short, by their names, as `templates`; `next` is there where others follow. Raises
    InvalidRequest for a cursor that is none."""
    place = place_of(cursor, 1)
    behind = place[0] if place else ""
    shipped = [_in_short(name, *_shipped(name)) for name in _names() if name > behind]
    known = sorted(shipped + templates.stored(limit + 1, behind), key=lambda one: one["name"])
    shown = fitting(known[:limit])
    more = {"next": cursor_of(shown[-1]["name"])} if shown and len(shown) < len(known) else {}
    return {"templates": shown, **more}


def show_template(name: str) -> dict[str, Any]:
    """A template with its request, which has no connection. Raises NotFound."""
    head, request = _found(name)
    return head | {"request": request}


def filled(name: str, connection_id: str) -> dict[str, Any]:
    """A template's request for a saved connection. Raises NotFound."""
    return _with_connection(_found(name)[1], connection_id)


def save(name: str, wanted: NewTemplate) -> dict[str, Any]:
    """Saves a request as a template, in place of the one of that name; returns it in short. Raises InvalidRequest with every
    mistake, ConflictingTarget for the name of one that is shipped."""
    if not NAME.fullmatch(name):
        raise InvalidRequest([{"field": "name", "problem": "expected 1 to 64 small letters, digits and _"}])
    _refuse_shipped(name, "Save it by another name.")
    kept = _checked(with_text_of_models(wanted.request))
    head = _in_short(name, {"title": wanted.title, "about": wanted.about}, kept)
    head["saved_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    templates.keep(name, head, kept)
    return head


def remove(name: str) -> None:
    """Removes a template that somebody has saved. Raises NotFound, ConflictingTarget for one that is shipped."""
    _refuse_shipped(name, "It goes with the file of that name in templates/, by the next deployment.")
    if not templates.remove(name):
        raise _none(name)


def _checked(request: dict[str, Any]) -> dict[str, Any]:
    """A request as it may be kept: without its connection, and in today's form."""
    source = request.get("source_config")
    mistakes = [{"field": "source_config.connection", "problem": OPEN}] if _given(source, "connection") else []
    document = _with_connection(request, "any") if isinstance(source, dict) else request
    try:
        parsed = parse_job_request(document)
    except InvalidRequest as error:
        raise InvalidRequest(error.mistakes + mistakes) from None
    if parsed.batch_id is not None:
        mistakes.append({"field": "batch_id", "problem": LABELLED})
    kept = redacted(as_today(document)[0], JobRequest, everywhere=False)
    if not _tables(kept):
        mistakes.append({"field": "source_config.databaseConfig.tables", "problem": NO_TABLES})
    if mistakes:
        raise InvalidRequest(mistakes)
    del kept["source_config"]["connection"]
    return kept


def _given(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _with_connection(request: dict[str, Any], connection_id: str) -> dict[str, Any]:
    return request | {"source_config": request["source_config"] | {"connection": {"connectionId": connection_id}}}


def _in_short(name: str, words: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    models = request.get("destination_config", {}).get("goldConfig", {}).get("models", [])
    return {
        "name": name,
        "title": words["title"],
        "about": words["about"],
        "workflow_id": request["workflow_id"],
        "tables": _tables(request),
        "models": [model["tableName"] for model in models],
        "saved_at": None,
    }


def _tables(request: dict[str, Any]) -> list[str]:
    """What a request reads, by its tables' names and queries; empty where it names none."""
    config = request["source_config"].get("databaseConfig") or {}
    listed = config.get("tables", [config])
    found = [table.get("tableName") or table.get("query") for table in listed] if isinstance(listed, list) else []
    return [name for name in found if name]


def _found(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is shown of a template, and its request. Raises NotFound."""
    if name in _names():
        words, request = _shipped(name)
        return _in_short(name, words, request), request
    found = templates.find(name) if NAME.fullmatch(name) else None
    if found is None:
        raise _none(name)
    return found


def _none(name: str) -> NotFound:
    return NotFound(f"no template {name[:80]!r}", "flowforge templates list shows them.")


def _names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def _refuse_shipped(name: str, remedy: str) -> None:
    if name in _names():
        raise ConflictingTarget(f"template {name!r} is shipped with FlowForge", remedy)


def _shipped(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found, with_text_of_models(found["request"])
