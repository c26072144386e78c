"""Silver and gold tables: columns, decisions, what rules found, quarantine."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from events.api.base import Answer
from events.model import Request


class Decision(Request):
    """What a person decides about a silver table's columns: one thing at least."""

    types: dict[str, str] = Field(default={}, description="type of each column, as SQL Server names it")
    accept: bool = Field(False, strict=True, description="takes the changes that the newest batch was refused for")
    keep_key: bool = Field(
        False, strict=True, description="keeps the table's key though the source has another one now"
    )

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Nothing may not be decided."""
        if not any(given.get(name) for name in cls.model_fields):
            yield "nothing is decided: give types, accept or keep_key"


class SilverColumn(Answer):
    """A column, and the type that was decided for it."""

    name: str
    type: str
    decided: str | None


class DecidedType(Answer):
    """What a written type is in the lake."""

    column: str
    written: str
    type: str
    meaning: str | None


class SilverSchema(Answer):
    """A silver table's columns and the decisions about them."""

    table: str
    source_key: str | None
    version: int
    identity: str | None
    dropped: list[Any]
    keeps_key: bool
    accepted_up_to: int | None
    columns: list[SilverColumn]
    decided_now: list[DecidedType] = Field(default=[])


class Released(Answer):
    """How many rows are judged anew."""

    table: str
    rows: int


class Figure(Answer):
    """What a rule found."""

    rule: str
    severity: str
    checked: int
    failed: int


class JudgedBatch(Answer):
    """The batch that rules have looked at last."""

    generation: int
    seq: int


class Quarantined(Answer):
    """Rows in quarantine, by reason and batch."""

    reason: str | None
    generation: int | None
    seq: int | None
    rows: int


class SilverQuality(Answer):
    """What the rules found in the newest batch, and what is in quarantine."""

    table: str
    batch: JudgedBatch | None
    rules: list[Figure]
    quarantine: list[Quarantined]


class RefusedBuild(Answer):
    """Why a later version was refused."""

    at: str
    reason: str | None
    rules: list[Figure]


class GoldQuality(Answer):
    """What the rules found in the published version, and why a later one was refused."""

    table: str
    version: int | None
    published_at: str | None
    rules: list[Figure]
    refused: RefusedBuild | None
