"""From a StepFailed to the run that failed.

Each failure is a run of its own, named by the bus' own id: a batch that is replayed keeps its name for when it succeeds. What the
step would have made is told as far as the message that was given up names it.
"""

from collections.abc import Iterator

from events import facts
from flowforge.domain.batch import Batch
from flowforge.lineage.datasets import Dataset, in_lake, source_of
from flowforge.lineage.run_events import Kind, Parent, Step
from flowforge.state import batch_records, runs


def failed_steps(fact: facts.StepFailed, event_id: str, told_at: str) -> Iterator[Step]:
    """The runs that a failure ends: one, or one for each gold model that failed; none for a step that makes no table."""
    batch = None
    if fact.source_key is not None and fact.generation is not None and fact.seq is not None:
        batch = batch_records.find_batch(fact.source_key, fact.generation, fact.seq)
    job = runs.job_of(fact.run_id)
    for output, inputs, kind in _attempted(fact, batch):
        yield Step(
            identity=f"{event_id}/{output}",
            state="FAIL",
            ended_at=told_at,
            seconds=0,
            inputs=inputs,
            output=in_lake(output),
            kind=kind,
            parent=Parent(fact.run_id, job) if job else None,
            error=f"{fact.error}: {fact.cause}",
            tags={"run": fact.run_id, "step": fact.step, "attempts": fact.attempts, "remedy": fact.remedy},
        )


def _attempted(fact: facts.StepFailed, batch: Batch | None) -> Iterator[tuple[str, tuple[Dataset, ...], Kind]]:
    bronze = f"bronze.{fact.bronze_table}"
    if fact.step == "ingest":
        yield bronze, (source_of(batch.source_key),) if batch else (), "INGEST"
    elif fact.step == "silver" and batch:
        yield f"silver.{batch.command.silver.table}", (in_lake(bronze),), "REFINE"
    elif fact.step == "gold":
        gold = batch.command.gold if batch else None
        asked = [gold.table, *(model.table for model in gold.models)] if gold else []
        for table in fact.gold_tables or filter(None, asked):
            yield f"gold.{table}", (), "MODEL"
