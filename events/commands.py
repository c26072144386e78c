"""Commands: imperative, one handler each."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from events.model import Dispatched
from events.targets import BronzeTarget, GoldTarget, SilverTarget, SourcePlace, SourceRead

Layer = Literal["bronze", "silver", "gold"]


def _with_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without its zone")
    return text


Moment = Annotated[str, AfterValidator(_with_zone)]  # ISO 8601


class SubmitJob(Dispatched):
    """Asks submit_job to start a run. On the bus its detail is `{"request": <job request>}`, detail-type JobRequested."""

    type: Literal["SubmitJob"] = "SubmitJob"
    request: dict[str, Any]


class LoadFiles(Dispatched):
    """Asks submit_job to start a job that it keeps, since there are files that no event told of, or that a batch has left. The
    run's id follows from what is new."""

    type: Literal["LoadFiles"] = "LoadFiles"
    new_run_id: str
    workflow_id: str
    job_id: str


class StartWorkflow(Dispatched):
    """Asks submit_job to start a workflow by the request that its schedule keeps. The run's id follows from the schedule and what
    it was due for, so that an order which comes twice starts one run."""

    type: Literal["StartWorkflow"] = "StartWorkflow"
    new_run_id: str
    workflow_id: str
    trigger: Literal["schedule", "chain"] = "schedule"


class TellQuiet(Dispatched):
    """Asks send_alerts to tell that a table has got no new rows for too long, as was seen at a moment."""

    type: Literal["TellQuiet"] = "TellQuiet"
    bronze_table: str
    at: Moment


class IngestTable(Dispatched):
    """Asks ingest_table to load one table once, for one run; `replayed` tells that a person put the message back, `given_up` why
    batches of this run were given up after their rows had been counted at the source."""

    type: Literal["IngestTable"] = "IngestTable"
    run_id: str
    workflow_id: str
    job_id: str
    batch_id: str
    connection: SourcePlace
    source: SourceRead
    bronze: BronzeTarget
    silver: SilverTarget
    gold: GoldTarget
    replayed: bool = False
    given_up: list[str] = Field(default_factory=list)
    only_keys: bool = Field(
        default=False, description="reads all keys in place of the rows that are new, to find what is gone"
    )
    default_names: list[Layer] = Field(
        default_factory=list,
        description="layers whose table the request does not name: they follow the catalog's spelling",
    )


class IngestCut(Dispatched):
    """Asks ingest_table to load the tables of one run as of one moment: all of them, or none. `replayed` as of IngestTable."""

    type: Literal["IngestCut"] = "IngestCut"
    run_id: str
    tables: list[IngestTable] = Field(min_length=1)
    replayed: bool = False


class CompareKeys(Dispatched):
    """Asks submit_job to compare a table's keys with silver; `load` is the table's load. The run's id follows from what is due,
    or from the call, so that an order which comes twice starts one run."""

    type: Literal["CompareKeys"] = "CompareKeys"
    new_run_id: str
    trigger: Literal["deletes", "http"] = "deletes"
    load: IngestTable


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
