"""The OpenAPI document of all functions together: each tells of its own routes, and they are put side by side.

`python -m events.export` writes it to docs/schemas/openapi.json, which GET /api/openapi.json answers. In no function's package.
"""

import importlib
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from pydantic.json_schema import models_json_schema

from events.api.base import Refusal

TITLE, VERSION = "FlowForge", "1"
OWN = ("HTTPValidationError", "ResponseValidationError", "ValidationError")  # Powertools' errors: ours are Refusal
REFUSAL = {"$ref": "#/components/schemas/Refusal"}


def document() -> dict[str, Any]:
    """The document, in a fixed order."""
    words: dict[tuple[str, str], str] = {}
    merged = OpenAPIMerge(title=TITLE, version=VERSION, on_conflict="error")
    for path in sorted(Path(__file__).parent.glob("*/handler.py")):
        module = importlib.import_module(f"functions.{path.parent.name}.handler")
        if app := getattr(module, "app", None):
            routes = [*app._static_routes, *app._dynamic_routes]
            words |= {(route.openapi_path, route.method): route.func.__doc__ for route in routes}
            told = app.get_openapi_schema(title=TITLE, version=VERSION)
            merged.add_schema(told.model_dump(mode="json", by_alias=True, exclude_none=True))
    found = merged.get_openapi_schema()
    paths = {path: dict(sorted(operations.items())) for path, operations in sorted(found["paths"].items())}
    for path, operations in paths.items():
        for method, operation in operations.items():
            operations[method] = _told(words[path, method.upper()], operation)
    models = {name: model for name, model in found["components"]["schemas"].items() if name not in OWN}
    _, refusal = models_json_schema([(Refusal, "serialization")], ref_template="#/components/schemas/{model}")
    models |= refusal["$defs"]
    head = {"openapi": found["openapi"], "info": found["info"], "paths": paths}
    return head | {"components": {"schemas": dict(sorted(models.items()))}}


def _told(words: str, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation with what it answers when all is well, and one form of error."""
    responses = {}
    for status, response in operation["responses"].items():
        if str(status).startswith("2"):
            told = {} if str(status) == "204" else {"content": response["content"]}
            responses[str(status)] = {"description": "done"} | told
    for status, description in (("4XX", "refused"), ("5XX", "failed")):
        responses[status] = {"description": description, "content": {"application/json": {"schema": REFUSAL}}}
    return operation | {"summary": words.partition("\n")[0], "responses": responses}
