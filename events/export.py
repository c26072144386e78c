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
from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.quality import QualityFigure
from events.request import JobRequest
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable

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


def _submit_job_samples(bare: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    requested = eventbridge("JobRequested", bare["SubmitJob"], source="my.scheduler")
    yield "submit_job.eventbridge", requested
    yield "submit_job.sqs", sqs(requested, queue="flowforge-SubmitQueue")
    dropped = s3_object_created("flowforge-data", "requests/customers.json")
    yield "submit_job.s3", sqs(dropped, queue="flowforge-SubmitQueue")
    landed = s3_object_created("flowforge-data", "landing/wf_001/job_customers/customers.csv")
    yield "submit_job.s3_landing", sqs(landed, queue="flowforge-SubmitQueue")
    yield "submit_job.sqs_files", sqs(bare["LoadFiles"], queue="flowforge-SubmitQueue")
    yield "submit_job.sqs_schedule", sqs(bare["StartWorkflow"], queue="flowforge-SubmitQueue")
    yield "submit_job.sqs_keys", sqs(bare["CompareKeys"], queue="flowforge-SubmitQueue")
    yield "submit_job.minio", minio("flowforge-data", "requests/customers.json")
    template, route = "/api/templates/customer_360", "/api/templates/{name}"
    yield "submit_job.http_templates", http("GET", "/api/templates")
    yield "submit_job.http_template", http("GET", template, route)
    open_request = {**FULL, "source_config": {k: v for k, v in FULL["source_config"].items() if k != "connection"}}
    del open_request["batch_id"]
    saved = {"title": "Customers", "about": "Customers of the bank.", "request": open_request}
    own = "/api/templates/customers"
    yield "submit_job.http_put_template", http("PUT", own, route, saved)
    yield "submit_job.http_delete_template", http("DELETE", own, route)
    yield "submit_job.http_run_template", http("POST", f"{template}/run", f"{route}/run", {"connectionId": "bank"})


def _schedule_samples() -> Iterator[tuple[str, Any]]:
    one, route = "/api/schedules/wf_001", "/api/schedules/{id}"
    request = {name: value for name, value in FULL.items() if name != "batch_id"}
    wanted = {"request": request, "cron": "30 2 * * 1-5", "timezone": "Europe/Berlin"}
    yield "schedules.schedule", eventbridge("Scheduled Event", {}, source="aws.events")
    yield "schedules.http_set", http("PUT", one, route, wanted)
    yield "schedules.http_list", http("GET", "/api/schedules")
    yield "schedules.http_get", http("GET", one, route)
    yield "schedules.http_pause", http("POST", f"{one}/pause", f"{route}/pause")
    yield "schedules.http_resume", http("POST", f"{one}/resume", f"{route}/resume")
    yield "schedules.http_remove", http("DELETE", one, route)


def _samples_of_what_people_put() -> Iterator[tuple[str, Any]]:
    upload = {"workflow_id": "wf_001", "job_id": "customers", "name": "new.csv", "content": "aWQsbmFtZQoxLEFkYQo="}
    yield "submit_job.http_file", http("POST", "/api/files", body=upload)
    model = {"sql": "SELECT customer_id FROM silver.customers", "ahead": True}
    yield "publish_gold.http_model", http("PUT", "/api/models/names", "/api/models/{table}", model)
    key = {"key": "landing/wf_001/customers/new.csv"}
    yield "describe_table.http_file", http("GET", "/api/files/inspect", query=key)


def _alert_samples(bare: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "send_alerts.sqs", sqs(eventbridge("BronzeLanded", bare["BronzeLanded"]), queue="flowforge-AlertQueue")
    yield "send_alerts.sqs_quiet", sqs(bare["TellQuiet"], queue="flowforge-AlertQueue")
    yield "send_alerts.http_list", http("GET", "/api/alerts")
    yield "send_alerts.http_test", http("POST", "/api/alerts/test")
    yield "send_alerts.schedule", eventbridge("Scheduled Event", {}, source="aws.events")


def _watermark_samples(landed: Any) -> Iterator[tuple[str, Any]]:
    yield "watermark.sqs", sqs(landed, queue="flowforge-WatermarkQueue")
    yield "watermark.schedule", {"sweep": True}
    one, route = f"/api/watermarks/{TABLE}", "/api/watermarks/{table}"
    yield "watermark.http_get", http("GET", one, route)
    yield "watermark.http_set", http("PUT", one, route, {"column": "modified_date", "value": "2024-01-01"})
    yield (
        "watermark.http_accept",
        http("POST", f"{one}/accept", "/api/watermarks/{table}/accept", {"reason": "failover"}),
    )
    wanted = {"maxDeleteShare": 0.5}
    yield "watermark.http_compare", http("POST", f"{one}/compare", "/api/watermarks/{table}/compare", wanted)
    yield "watermark.http_reset", http("DELETE", one, route, query={"reason": "reload"})


def samples() -> Iterator[tuple[str, Any]]:
    """Name and content of every sample: bare, and in the envelope in which a function gets it."""
    yield "JobRequest", FULL
    yield "JobRequest.incremental", INCREMENTAL
    bare = {type(message).__name__: json.loads(message.model_dump_json()) for message in messages()}
    yield from bare.items()
    landed = eventbridge("BronzeLanded", bare["BronzeLanded"])
    refined = eventbridge("SilverRefined", bare["SilverRefined"])
    yield "submit_job.http", http("POST", "/api/workflows/wf_001/run", "/api/workflows/{id}/run", FULL)
    yield from _submit_job_samples(bare)
    yield from _schedule_samples()
    yield from _samples_of_what_people_put()
    yield from _alert_samples(bare)
    yield "ingest_table.sqs", sqs(bare["IngestTable"])
    yield "ingest_slice.sqs", sqs(bare["IngestSlice"], queue="flowforge-SliceQueue")
    yield from _watermark_samples(landed)
    yield "watermark.http_files", http("GET", "/api/files", query={"table": "bronze_customers", "limit": "20"})
    yield "refine_silver.sqs", sqs(landed, queue="flowforge-RefineQueue")
    columns, route = "/api/silver/customers/schema", "/api/silver/{table}/schema"
    yield "show_lake.http_schema", http("GET", columns, route)
    yield "refine_silver.http_decide", http("PUT", columns, route, {"types": {"zip_code": "VARCHAR"}})
    quality = "/api/silver/customers/quality"
    yield "show_lake.http_silver_quality", http("GET", quality, "/api/silver/{table}/quality")
    released = "/api/silver/customers/release"
    yield "refine_silver.http_release", http("POST", released, "/api/silver/{table}/release")
    yield "refine_silver.sqs_release", sqs(bare["ReleaseQuarantine"], queue="flowforge-RefineQueue")
    yield "publish_gold.sqs", sqs(refined, queue="flowforge-PublishQueue")
    yield (
        "publish_gold.s3",
        sqs(s3_object_created("flowforge-data", "models/customer_360.sql"), queue="flowforge-PublishQueue"),
    )
    yield "show_lake.http_model", http("GET", "/api/models/names", "/api/models/{table}")
    yield "show_lake.http_gold_quality", http("GET", "/api/gold/customer_360/quality", "/api/gold/{table}/quality")
    yield "maintain_lake.sqs", sqs(bare["MaintainTable"], queue="flowforge-UpkeepQueue")
    yield "maintain_lake.schedule", {"maintain": True}
    yield "track_run.sqs", sqs(landed, refined, queue="flowforge-TrackQueue")
    yield "record_lineage.sqs", sqs(landed, refined, queue="flowforge-LineageQueue")
    yield "track_run.http_list", http("GET", "/api/runs", query={"limit": "5"})
    yield "track_run.http_get", http("GET", f"/api/runs/{RUN}", "/api/runs/{id}")
    yield "test_connection.http", http("POST", "/api/test-connection/database", body={"connection": LOCAL})
    yield "list_tables.http", http("POST", "/api/database/tables", body={"connection": LOCAL})
    question = {"connection": LOCAL, "table": "customers", "preview": 5}
    yield "describe_table.http", http("POST", "/api/database/schema", body=question)
    yield "replay.http_list", http("GET", "/api/dead-letters")
    yield "replay.http_put_back", http("POST", "/api/dead-letters/replay", body={"run_id": RUN})
    yield "connections.http_save", http("POST", "/api/connections", body={"id": "bank", **LOCAL})
    yield "connections.http_openapi", http("GET", "/api/openapi.json")
    yield "connections.http_list", http("GET", "/api/connections")
    yield "connections.http_remove", http("DELETE", "/api/connections/bank", "/api/connections/{id}")


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
