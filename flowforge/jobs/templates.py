"""Templates: workflows as files in `templates/`, each a job request whose connection is left open.

A file is JSON: `title`, `about`, `tables` in words, and the `request`; a model's `sql` may be a list of lines there. Its name is
the template's. They are shipped with the functions; what is not shipped does not exist.
"""

import json
import re
from pathlib import Path
from typing import Any

from flowforge.domain.errors import NotFound

FOLDER = Path(__file__).resolve().parents[2] / "templates"
NAME = re.compile(r"[a-z0-9_]{1,64}")


def list_templates() -> list[dict[str, Any]]:
    """Every template in short, by its name."""
    return [_in_short(path.stem) for path in sorted(FOLDER.glob("*.json"))]


def show_template(name: str) -> dict[str, Any]:
    """A template with its request, which has no connection. Raises NotFound."""
    return _in_short(name) | {"request": _read(name)["request"]}


def filled(name: str, connection_id: str) -> dict[str, Any]:
    """A template's request for a saved connection. Raises NotFound."""
    request = _read(name)["request"]
    return request | {"source_config": request["source_config"] | {"connection": {"connectionId": connection_id}}}


def _in_short(name: str) -> dict[str, Any]:
    found = _read(name)
    request = found["request"]
    models = request.get("destination_config", {}).get("goldConfig", {}).get("models", [])
    return {
        "name": name,
        "title": found["title"],
        "about": found["about"],
        "workflow_id": request["workflow_id"],
        "tables": [table["tableName"] for table in request["source_config"]["databaseConfig"]["tables"]],
        "models": [model["tableName"] for model in models],
    }


def _read(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    if not NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"no template {name[:80]!r}", "flowforge templates list shows them.")
    found = json.loads(path.read_text(encoding="utf-8"))
    return found | {"request": with_text_of_models(found["request"])}


def with_text_of_models(request: dict[str, Any]) -> dict[str, Any]:
    """A template's request with each model's `sql` as one text, where it is a list of lines."""
    found: Any = request
    for name in ("destination_config", "goldConfig", "models"):
        found = found.get(name) if isinstance(found, dict) else None
    for model in found if isinstance(found, list) else []:
        if (
            isinstance(model, dict)
            and isinstance(model.get("sql"), list)
            and all(isinstance(t, str) for t in model["sql"])
        ):
            model["sql"] = "\n".join(model["sql"])
    return request
