"""ModelSettings of a model file: comments of their own lines, everything else is SQL.

    -- @buildStrategy incremental
    -- @primaryKey merchant_category, month
    -- @qualityRule {"rule": "range", "column": "spent", "min": 0, "severity": "fail"}

A quality rule is one JSON object on one line, as in a job request; there may be several.

Guarantees: pure; a setting that is wrong is told with its line and what was expected.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from events.quality import GoldRules, Rule
from events.request import mistakes_of
from flowforge.domain.errors import TransformRejected
from flowforge.gold.models import Strategy

SETTING = re.compile(r"--\s*@(\w+)\s*(.*?)\s*")
STRATEGIES: tuple[Strategy, ...] = ("full", "incremental")
RULES = TypeAdapter(GoldRules)
SHOWN = (
    f"-- @buildStrategy {' or '.join(STRATEGIES)}, -- @primaryKey column, column, "
    '-- @qualityRule {"rule": "not_null", "column": "id", "severity": "fail"}'
)


@dataclass
class ModelSettings:
    """What the settings of a file say; `rule_lines` has the line of each rule, by its title."""

    strategy: Strategy = "full"
    key: tuple[str, ...] = ()
    rules: list[Rule] = field(default_factory=list)
    rule_lines: dict[str, int] = field(default_factory=dict)


def read_settings(text: str, place: Callable[[int], str]) -> ModelSettings:
    """The settings in a file's text; `place` names a line of it. Raises TransformRejected."""
    found = ModelSettings()
    for number, line in enumerate(text.splitlines(), 1):
        if setting := SETTING.fullmatch(line.strip()):
            try:
                _take(found, setting[1], setting[2], number)
            except ValueError as error:
                raise TransformRejected(f"{place(number)}: {error}", SHOWN) from error
    return found


def _take(found: ModelSettings, name: str, value: str, line: int) -> None:
    if name == "buildStrategy" and value in STRATEGIES:
        found.strategy = value
    elif name == "primaryKey" and value:
        found.key = tuple(part.strip() for part in value.split(","))
        if not all(found.key):
            raise ValueError("@primaryKey has an empty name")
    elif name == "qualityRule":
        found.rules = _with_rule(found.rules, value)
        found.rule_lines[found.rules[-1].title] = line
    else:
        raise ValueError(f"unknown setting @{name} {value}".rstrip())


def _with_rule(rules: list[Rule], text: str) -> list[Rule]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f"@qualityRule: expected one JSON object on one line: {error}") from error
    try:
        return RULES.validate_python([*rules, given])
    except ValidationError as error:
        raise ValueError(f"@qualityRule: {'; '.join(map(_text, mistakes_of(error)))}") from error


def _text(mistake: dict[str, str]) -> str:
    """A mistake without the rule's place in the list and its kind, which stand before the field."""
    name = ".".join(mistake["field"].split(".")[2:])
    return f"{name}: {mistake['problem']}" if name else mistake["problem"]
