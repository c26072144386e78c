"""Expansions of templates, kept for the next start: to expand one takes longer than anything else that a start does.

An expansion is found by all that it follows from: the template's text, the parameters, the region, this code and the translator's
version. One that another user could have written is not read; where nothing can be kept, the template is expanded
at each start.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flowforge.cli.private_files import closed, make_folder

MOST = 50  # of some 130 kB each


def name_of(text: str, parameters: Mapping[str, str], region: str) -> str:
    """The name by which an expansion is kept."""
    code = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("template.py", "expansions.py")]
    told = [version("aws-sam-translator"), code, text, sorted(parameters.items()), region]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def find(name: str) -> dict[str, Any] | None:
    """What is kept under a name; None where nothing is, or nothing that can be read."""
    with suppress(OSError, RuntimeError, ValueError):
        path = _place() / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if closed(path) else None
    return None


def keep(name: str, expansion: Mapping[str, Any]) -> None:
    """Keeps an expansion, which the translator has made of JSON, and no more than the newest MOST."""
    with suppress(OSError, RuntimeError):
        place = make_folder(_place())
        with tempfile.NamedTemporaryFile("w", dir=place, delete=False, encoding="utf-8") as draft:
            json.dump(expansion, draft)
        Path(draft.name).replace(place / f"{name}.json")
        for path in sorted(place.iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST]:
            path.unlink()


def _place() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "flowforge" / "templates"
