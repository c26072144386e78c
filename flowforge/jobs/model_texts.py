"""The SQL of gold models as people write it into files of JSON: as a list of lines."""

from typing import Any


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
