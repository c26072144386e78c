"""What a field that no request has may have been meant as: a name alike at its place, or the place that it belongs to."""

import difflib
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel

from events.request.mistakes import MOST_MISTAKES, UNKNOWN_FIELD

Fields = dict[str, set[str]]  # the names that each place of a request has, by its path without numbers


def hint(path: Iterable[str], fields: Fields) -> str:
    """The end of a sentence about an unknown field, by its path; nothing where no name is near."""
    *place, name = [part for part in path if not part.isdigit()]
    while place and ".".join(place) not in fields:  # of one among several forms, pydantic's path has the form's name
        place.pop()
    here = fields.get(".".join(place), set())
    if near := difflib.get_close_matches(name.lower(), [one.lower() for one in here], n=1, cutoff=0.75):
        return f"; did you mean {next(one for one in sorted(here) if one.lower() == near[0])}?"
    places = [at for at, names in fields.items() if name in names]
    least = min((at.count(".") + bool(at) for at in places), default=0)
    named = [at or "the document itself" for at in sorted(places) if at.count(".") + bool(at) == least]
    return f"; it is a field of {' and of '.join(named)}" if named else ""


def with_hints(mistakes: list[dict[str, str]], model: type[BaseModel]) -> list[dict[str, str]]:
    """The mistakes of a document of this model as they are told; only so many are looked at as are told."""
    return [_hinted(one, model) if n < MOST_MISTAKES else one for n, one in enumerate(mistakes)]


def _hinted(mistake: dict[str, str], model: type[BaseModel]) -> dict[str, str]:
    if mistake["problem"] != UNKNOWN_FIELD:
        return mistake
    return mistake | {"problem": UNKNOWN_FIELD + hint(mistake["field"].split("."), fields_of(model))}


@cache
def fields_of(model: type[BaseModel]) -> Fields:
    """By the schema that such documents are checked by."""
    schema, found = model.model_json_schema(), {}
    _collect(schema, schema.get("$defs", {}), "", found, ())
    return found


def _collect(part: dict[str, Any], parts: dict[str, Any], path: str, found: Fields, above: tuple[str, ...]) -> None:
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[-1]
        if name not in above:
            _collect(parts[name], parts, path, found, (*above, name))
    for name, inner in part.get("properties", {}).items():
        found.setdefault(path, set()).add(name)
        _collect(inner, parts, f"{path}.{name}" if path else name, found, above)
    for inner in [*part.get("anyOf", []), *part.get("oneOf", []), *part.get("allOf", [])]:
        _collect(inner, parts, path, found, above)
    if isinstance(part.get("items"), dict):
        _collect(part["items"], parts, path, found, above)
