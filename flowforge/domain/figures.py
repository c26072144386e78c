"""The rules' figures beside the rows that they are about: in the metadata of the Delta commit that made these visible."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from events.quality import QualityFigure

QUALITY = "flowforge.quality"


def to_metadata(figures: Iterable[QualityFigure]) -> dict[str, str]:
    """The entry of a commit's metadata."""
    return {QUALITY: json.dumps([figure.model_dump() for figure in figures])}


def quality_of(entry: Mapping[str, Any]) -> list[QualityFigure]:
    """The figures in a commit's metadata; none where no rule was in force."""
    return [QualityFigure.model_validate(figure) for figure in json.loads(entry.get(QUALITY, "[]"))]


def plain(figures: Iterable[QualityFigure]) -> list[dict[str, Any]]:
    """The figures as the API answers them."""
    return [figure.model_dump(exclude={"schema_version"}) for figure in figures]


def broken(figures: Iterable[QualityFigure]) -> list[QualityFigure]:
    """The figures of rules of severity `fail` that do not hold."""
    return [figure for figure in figures if figure.failed and figure.severity == "fail"]


def figure_text(figure: QualityFigure) -> str:
    """A broken rule in words."""
    return f"{figure.rule}: {figure.failed:,} of {figure.checked:,} failed"
