"""A table of prices that a person gives in a file, or our own."""

import json
from pathlib import Path
from typing import Any

from flowforge.cli.failure import BadRequest
from flowforge.operations.pricing import FACTS, OWN, PRICED

FORM = "give a JSON object with region, date, currency, per_gb_second and per_million: flowforge/operations/prices.json has them"


def read_prices(path: Path | None) -> dict[str, Any]:
    """The prices in a file, or our own; BadRequest names the field that is wrong."""
    file = path or OWN
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRequest(f"cannot read {file}: {error.strerror or error}", FORM) from error
    except ValueError as error:
        raise BadRequest(f"{file} is not JSON: {error}", FORM) from error
    mistakes = list(_mistakes(found)) if isinstance(found, dict) else [("(document)", "expected a JSON object")]
    if mistakes:
        told = [{"field": field, "problem": problem} for field, problem in mistakes]
        raise BadRequest(f"{file} is no table of prices", FORM, mistakes=told)
    return found


def _mistakes(found: dict[str, Any]) -> list[tuple[str, str]]:
    wrong = [(name, "expected a text") for name in FACTS if not isinstance(found.get(name), str)]
    wrong += [] if _is_price(found.get("per_gb_second")) else [("per_gb_second", "expected a number from 0")]
    prices = found.get("per_million")
    if not isinstance(prices, dict):
        return [*wrong, ("per_million", "expected an object")]
    wrong += [(f"per_million.{name}", "expected a number from 0") for name in PRICED if not _is_price(prices.get(name))]
    return wrong + [(f"per_million.{name}", "is no field of prices") for name in prices if name not in PRICED]


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
