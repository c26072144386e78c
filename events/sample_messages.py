"""A request of the sample bank, and one sample of each command and fact that follows from requests."""

from typing import Any

from events import commands, facts
from events.quality import QualityFigure
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable

RUN, TABLE = "run_20251108T061208_6f1d2c3b4a", "bronze_customers"


BATCH: dict[str, Any] = {
    "run_id": RUN,
    "bronze_table": TABLE,
    "source_key": f"localhost:1433/BFSI_Test/dbo.customers>{TABLE}",
    "generation": 1,
    "seq": 1,
}


LOGIN = {"username": "sa", "password": "FlowForge2024!"}  # of the local stand-in


LOCAL = {"host": "localhost", "port": 1433, "database": "BFSI_Test", **LOGIN}


def job_request(database_config: dict[str, Any]) -> dict[str, Any]:
    """The job request of the sample bank's customers."""
    return {
        "workflow_id": "wf_001",
        "job_id": "job_customers",
        "workflow_name": "BFSI Customer 360",
        "job_name": "Ingest Customers",
        "source_type": "database",
        "source_config": {"type": "sql-server", "connection": LOCAL, "databaseConfig": database_config},
        "destination_config": {
            "bronzeConfig": {
                "tableName": TABLE,
                "storageFormat": "parquet",
                "loadStrategy": "append",
                "auditColumns": True,
                "compression": "snappy",
            }
        },
        "batch_id": "batch_20251108_061208",
    }


FULL = job_request({"tableName": "customers", "isIncremental": False})


INCREMENTAL = job_request(
    {
        "tableName": "customers",
        "isIncremental": True,
        "deltaColumn": "modified_date",
        "lastWatermark": "2024-01-01",
    }
)


def _of_cut(ingest: commands.IngestTable, table: str) -> commands.IngestTable:
    """A table that is loaded with others as of one moment."""
    return ingest.model_copy(
        update={
            "source": SourceTable(table_name=table, is_incremental=True, change_tracking=True, consistent_cut=True),
            "bronze": BronzeTarget(table=f"bronze_{table}"),
            "silver": SilverTarget(table=table),
            "gold": GoldTarget(table=table),
        }
    )


def messages() -> list[Any]:
    """One sample of each command and event."""
    ingest = commands.IngestTable(
        run_id=RUN,
        workflow_id="wf_001",
        job_id="job_customers",
        batch_id="batch_20251108_061208",
        connection=ConnectionReference(
            host="localhost",
            database="BFSI_Test",
            secret_id="flowforge/connections/bank",  # noqa: S106
        ),
        source=SourceTable(table_name="customers", is_incremental=True, delta_column="modified_date"),
        bronze=BronzeTarget(table=TABLE),
        silver=SilverTarget(table="customers"),
        gold=GoldTarget(table="customers"),
    )
    bound: dict[str, Any] = {"cursor_column": "modified_date"}
    landed = facts.BronzeLanded(
        **BATCH,
        **bound,
        source_table="dbo.customers",
        batch_id="batch_20251108_061208",
        bronze_file_path=f"s3://flowforge-data/bronze/{TABLE}/batch_20251108_061208.parquet",
        bronze_key=f"bronze/{TABLE}/batch_20251108_061208.parquet",
        records=500,
        columns=21,
        file_size_bytes=48_211,
        watermark_value="2025-11-08 06:12:06.997",
        max_cursor_value="2025-10-31 23:14:02.123",
        promise="exact for stamps that the writing statement takes from this server's clock",
        source_rows=500,
        counted="in the snapshot that was read, and again after landing",
        counted_at="2025-11-08 06:12:09.1234567",
        seconds=0.4,
    )
    published = facts.PublishedModel(
        table="customers",
        how="full",
        rows=500,
        version=1,
        inputs={"silver.customers": 1},
        definition=2**61,
        quality=[QualityFigure(rule="unique customer_id", severity="fail", checked=500, failed=0)],
    )
    return [
        commands.SubmitJob(request=FULL),
        commands.LoadFiles(new_run_id="run_6f1d2c3b4a5968778695a4b3", workflow_id="wf_001", job_id="job_customers"),
        commands.StartWorkflow(new_run_id="run_2b4c6d8e0f1a3b5c7d9e1f20", workflow_id="wf_001"),
        commands.TellQuiet(bronze_table=TABLE, at="2025-11-10T06:00:00+00:00"),
        commands.CompareKeys(new_run_id="run_9a8b7c6d5e4f3a2b1c0d9e8f", load=ingest),
        ingest,
        commands.IngestCut(run_id=RUN, tables=[_of_cut(ingest, table) for table in ("accounts", "transactions")]),
        commands.IngestSlice(**BATCH, index=0),
        commands.ReleaseQuarantine(
            silver_table="customers", source_key=BATCH["source_key"], run_id=RUN, bronze_table=TABLE
        ),
        commands.MaintainTable(layer="silver", table="customers"),
        facts.JobAccepted(run_id=RUN, workflow_id="wf_001", job_id="job_customers", tables=[TABLE]),
        landed,
        facts.SlicesRead(**BATCH, slices=8, done=3, records=6_000_000),
        facts.IntervalEmpty(**BATCH, source_table="dbo.customers", reason="no rows"),
        facts.TablesUnchanged(run_id=RUN, tables=[TABLE]),
        facts.WatermarkCommitted(**BATCH, **bound, watermark_after="2025-11-08 06:12:06.997"),
        facts.SilverRefined(
            **BATCH,
            silver_table="customers",
            version=1,
            inserted=500,
            updated=0,
            silver_rows=500,
            column_types={"customer_id": "integer", "email": "string", "_generation": "integer", "_seq": "long"},
            seconds=0.6,
        ),
        facts.GoldPublished(**BATCH, gold_tables={"customers": 500}, models=[published], seconds=0.3),
        facts.ModelsPublished(model_key="models/customers.sql", models=[published], seconds=0.3),
        facts.StepFailed(
            run_id=RUN,
            bronze_table=TABLE,
            step="ingest",
            error="UnknownTable",
            cause="table dbo.customers does not exist in BFSI_Test",
            remedy="Check the name, or GRANT SELECT on it.",
        ),
    ]
