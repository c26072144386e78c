"""Commands as submit_job makes them."""

from events.commands import IngestTable
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable

# Each function that takes messages, and the name of its queue and dead letters in the template.
QUEUES = {
    "submit_job": "Submit",
    "ingest_table": "Ingest",
    "ingest_slice": "Slice",
    "watermark": "Watermark",
    "refine_silver": "Refine",
    "publish_gold": "Publish",
    "maintain_lake": "Upkeep",
    "track_run": "Track",
    "record_lineage": "Lineage",
    "send_alerts": "Alert",
}


def command(name: str, run_id: str, batch_id: str = "nightly") -> IngestTable:
    """An incremental load of a table by `modified`."""
    return IngestTable(
        run_id=run_id,
        workflow_id="wf",
        job_id="job",
        batch_id=batch_id,
        connection=ConnectionReference(host="LocalHost", database="Bank", secret_id="flowforge/x"),
        source=SourceTable(table_name=name, is_incremental=True, delta_column="modified"),
        bronze=BronzeTarget(table=f"bronze_{name}"),
        silver=SilverTarget(table=name),
        gold=GoldTarget(table=name),
    )
