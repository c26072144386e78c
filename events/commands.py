"""Commands: imperative, one handler each."""

from typing import Any, Literal

from pydantic import Field

from events.model import Dispatched
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable

Layer = Literal["bronze", "silver", "gold"]


class SubmitJob(Dispatched):
    """Asks submit_job to start a run. On the bus its detail is `{"request": <job request>}`, detail-type JobRequested."""

    type: Literal["SubmitJob"] = "SubmitJob"
    request: dict[str, Any]


class IngestTable(Dispatched):
    """Asks ingest_table to load one table once, for one run; `replayed` tells that a person put the message back, `given_up` why
    batches of this run were given up after their rows had been counted at the source."""

    type: Literal["IngestTable"] = "IngestTable"
    run_id: str
    workflow_id: str
    job_id: str
    batch_id: str
    connection: ConnectionReference
    source: SourceTable
    bronze: BronzeTarget
    silver: SilverTarget
    gold: GoldTarget
    replayed: bool = False
    given_up: list[str] = Field(default_factory=list)
    default_names: list[Layer] = Field(
        default_factory=list,
        description="layers whose table the request does not name: they follow the catalog's spelling",
    )


class ReleaseQuarantine(Dispatched):
    """Asks refine_silver to judge anew what rules keep in quarantine, and to apply what passes. The run and the bronze table are
    those of the table's newest batch, where a failure is told."""

    type: Literal["ReleaseQuarantine"] = "ReleaseQuarantine"
    silver_table: str
    source_key: str
    run_id: str
    bronze_table: str


class MaintainTable(Dispatched):
    """Asks maintain_lake to keep one Delta table in order."""

    type: Literal["MaintainTable"] = "MaintainTable"
    layer: Literal["silver", "gold", "quarantine"]
    table: str


class IngestSlice(Dispatched):
    """Asks ingest_slice to load one slice of a claimed batch; the plan is in the batch's record. `replayed` tells that a person
    put the message back."""

    type: Literal["IngestSlice"] = "IngestSlice"
    run_id: str
    bronze_table: str
    source_key: str
    generation: int
    seq: int
    index: int
    replayed: bool = False
