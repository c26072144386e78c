"""Variables and parameters: their declarations, and values on their way from DuckDB back into a statement."""

import re
from typing import Any

from .types import SqlType, parse_type


def declared_parameters(text: str) -> dict[str, tuple[SqlType, object]]:
    """`@a int, @b nvarchar(50)` as variables without values."""
    found = {}
    for part in re.split(r",(?![^(]*\))", text or ""):
        if part.strip():
            name, _, kind = part.strip().partition(" ")
            kind = re.sub(r"(?i)\s+(output|out|readonly)\s*$", "", re.sub(r"(?i)^\s*as\s+", "", kind))
            found[name.lstrip("@").lower()] = (parse_type(kind.split("=")[0]), None)
    return found


def wire_value(kind: SqlType, value: Any) -> object:
    """A value that DuckDB returned, as `Compiler.bind` takes it."""
    if value is None:
        return None
    if kind.base == "datetimeoffset":
        return value["ticks"], value["off"]
    return str(value) if kind.base == "uniqueidentifier" else value


def split_name(text: str) -> list[str]:
    """The parts of a dotted name given as text, without their brackets or quotes."""
    return [
        part.replace("]]", "]").replace('""', '"')
        for part in re.findall(r"\[((?:[^\]]|\]\])*)\]|\"((?:[^\"]|\"\")*)\"|([^.\[\]\"]+)|(?<=\.)(?=\.)", text)
        for part in ["".join(part)]
    ]
