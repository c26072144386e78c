"""Every sample: bare, and in the envelope in which a function gets it."""

import json
from collections.abc import Iterator
from typing import Any

from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.sample_messages import FULL, INCREMENTAL, LOCAL, RUN, TABLE, messages


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
