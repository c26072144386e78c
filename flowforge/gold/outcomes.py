"""What became of each gold table when it was last its turn: `gold/_models/<table>.json` beside the tables.

Guarantees: informs, decides nothing; whether a table is up to date is told by the Delta commits alone. It is what lets a person
see the query of a model that came with a job, and the reason of the last failure.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from events.quality import QualityFigure, QualityRule
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.objects import find_object
from flowforge.aws.small_objects import read_below
from flowforge.domain.alone import each_alone
from flowforge.domain.errors import RulesBroken, TransformRejected, unreadable
from flowforge.gold.models import Model, Strategy

if TYPE_CHECKING:  # with the engine behind them; lineage reads records without it
    from flowforge.gold.build import Built, Waits

PREFIX = "gold/_models/"


class ModelOutcome(BaseModel):
    """The last outcome of one model. `inputs` are the Delta versions that it was built from, `quality` is what its rules found in
    the rows that were built or refused; times are UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    table: str
    sql: str | None
    reads: list[str]
    strategy: Strategy = "full"
    key: list[str] = Field(default_factory=list)
    origin: str
    definition: int
    outcome: Literal["built", "failed", "waits"]
    how: str | None = None
    reason: str | None = None
    rows: int | None = None
    version: int | None = None
    inputs: dict[str, int] = Field(default_factory=dict)
    column_types: dict[str, str] = Field(default_factory=dict)
    input_columns: dict[str, list[str]] = Field(default_factory=dict)
    rules: list[QualityRule] = Field(default_factory=list)
    quality: list[QualityFigure] = Field(default_factory=list)
    cut: int | None = None
    at: datetime

    @classmethod
    def built(cls, model: Model, built: "Built") -> "ModelOutcome":
        """A model that was built."""
        return cls(**_about(model), outcome="built", **vars(built))

    @classmethod
    def failed(cls, model: Model, error: TransformRejected) -> "ModelOutcome":
        """A model that failed."""
        quality = error.figures if isinstance(error, RulesBroken) else []
        return cls(**_about(model), outcome="failed", reason=str(error), quality=quality)

    @classmethod
    def waiting(cls, model: Model, waits: "Waits") -> "ModelOutcome":
        """A model that waits for an input, or for inputs of one moment."""
        line = model.reads[waits.input] if waits.input else None
        return cls(**_about(model), outcome="waits", reason=f"{model.place(line)} {waits.reason}")


def write_outcome(bucket: str, record: ModelOutcome) -> None:
    """Keeps a record in the place of the one before; raises StoreUnavailable."""
    body = json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False).encode()
    with aws_errors("s3"):
        client("s3").put_object(
            Bucket=bucket, Key=f"{PREFIX}{record.table}.json", Body=body, ContentType="application/json"
        )


def read_outcome(bucket: str, table: str) -> ModelOutcome | None:
    """One table's record, or None where there is none; raises UnreadableRecord, StoreUnavailable."""
    key = f"{PREFIX}{table}.json"
    found = find_object(bucket, key)
    return _parsed(key, found.body) if found else None


def read_outcomes(bucket: str) -> tuple[dict[str, ModelOutcome], list[str]]:
    """All records, by gold table, and what is wrong with those that cannot be read; raises StoreUnavailable."""
    found = read_below(bucket, PREFIX, lambda key: key.endswith(".json"))
    done, failed = each_alone(found, lambda one: _parsed(one.key, one.body or b""))
    return {record.table: record for _, record in done}, [f"{one.cause}. {one.remedy}" for one in failed]


def _parsed(key: str, text: bytes) -> ModelOutcome:
    try:
        return ModelOutcome.model_validate_json(text)
    except ValueError as error:
        remedy = f"Delete it: the table's next build writes it anew (aws s3 rm s3://<bucket>/{key})."
        raise unreadable(key, error, remedy) from error


def _about(model: Model) -> dict[str, Any]:
    return {
        "table": model.table,
        "sql": model.sql,
        "reads": [str(name) for name in model.inputs],
        "strategy": model.strategy,
        "key": list(model.key),
        "rules": list(model.rules),
        "origin": model.origin,
        "definition": model.definition,
        "at": datetime.now(UTC),
    }
