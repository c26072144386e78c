"""Writes what follows from the contracts: JSON Schemas and the API's OpenAPI into docs/schemas, samples into events/samples.

python -m events.export            writes them
python -m events.export --check    exits 1 and names the files that are not up to date
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from events import commands, facts
from events.request import JobRequest
from events.sample_events import samples

ROOT = Path(__file__).resolve().parent.parent


MODELS = [
    JobRequest,
    commands.SubmitJob,
    commands.LoadFiles,
    commands.StartWorkflow,
    commands.TellQuiet,
    commands.CompareKeys,
    commands.IngestTable,
    commands.IngestCut,
    commands.IngestSlice,
    commands.ReleaseQuarantine,
    commands.MaintainTable,
    facts.JobAccepted,
    facts.BronzeLanded,
    facts.SlicesRead,
    facts.IntervalEmpty,
    facts.TablesUnchanged,
    facts.WatermarkCommitted,
    facts.SilverRefined,
    facts.GoldPublished,
    facts.ModelsPublished,
    facts.StepFailed,
]


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, with its content."""
    for model in MODELS:
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
        yield ROOT / "docs" / "schemas" / f"{model.__name__}.json", _text(schema)
    # By name: what functions say of themselves is known to functions alone, and contracts import none.
    yield ROOT / "docs" / "schemas" / "openapi.json", _text(resolve_name("functions.openapi:document")())
    for name, content in samples():
        yield ROOT / "events" / "samples" / f"{name}.json", _text(content)


def _text(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Writes or checks the files."""
    stale = [(path, text) for path, text in files() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path, _ in stale:
            sys.stderr.write(f"not up to date: {path.relative_to(ROOT)} (run python -m events.export)\n")
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
