"""Requests for files, from the API to gold: today's form and the flat one of before, what a run tells, and lineage."""

import json
from typing import Any

from tests.helpers.stack import Stack, flowforge


def drop(stack: Stack, job: str, file: str, text: str) -> str:
    key = f"landing/crm/{job}/{file}"
    stack.client("s3").put_object(Bucket=stack.facts["bucket"], Key=key, Body=text.encode())
    return key


def asked(job: str, config: dict[str, Any], **destination: Any) -> dict[str, Any]:
    return {
        "workflow_id": "crm",
        "job_id": job,
        "source_type": "file",
        "source_config": {"type": "csv", "fileConfig": config},
        "destination_config": destination,
    }


def loaded(stack: Stack, document: dict[str, Any], key: str) -> dict[str, Any]:
    """The table of the run that has loaded a file: the request's, or the one that the file's notice has started before it."""
    stack.run(document)
    shown = flowforge(stack, "files", "show", key, "--json")
    assert shown.returncode == 0, shown.stderr
    (table,) = stack.finished(json.loads(shown.stdout)["files"][0]["run_id"])["tables"]
    return table


def test_should_merge_the_files_of_a_job_and_call_no_file_a_full_load(stack: Stack, name: str):
    columns = [{"name": "id", "type": "bigint"}, {"name": "paid", "type": "decimal(9,2)", "decimalComma": True}]
    document = asked(name, {"delimiter": ";", "columns": columns}, silverConfig={"primaryKey": "id"})
    first = loaded(stack, document, drop(stack, name, "1.csv", "id;paid\n1;1,50\n2;2,50\n"))
    assert (first["status"], first["records"], first["notes"]) == ("published", 2, [])
    key = drop(stack, name, "2.csv", "id;paid\n2;3,00\n3;4,00\n")
    second = loaded(stack, document, key)
    assert (second["inserted"], second["updated"], second["notes"]) == (1, 1, [])
    found = stack.lake(f"SELECT id, paid::VARCHAR, _source_file FROM gold.{name} ORDER BY id")
    assert [row[:2] for row in found] == [(1, "1.50"), (2, "3.00"), (3, "4.00")]
    assert found[2][2] == key
    (third,) = stack.run(document)["tables"]
    assert third["status"] == "empty"
    shown = flowforge(stack, "lineage", f"gold.{name}")
    assert shown.returncode == 0, shown.stderr
    assert f"files/crm/{name}" in shown.stdout
    marks = flowforge(stack, "watermark", "get", f"bronze_{name}", "--json")
    assert json.loads(marks.stdout)["connection"] == {"bucket": stack.facts["bucket"]}


def test_should_load_the_flat_request_of_the_pipeline_before(stack: Stack, name: str):
    key = drop(stack, name, "customers.csv", "Kd-Nr,Ort,Seit\n007,Ulm,2024-01-31\n008,,2024-02-29\n")
    mappings = [
        {"sourceColumn": "Kd-Nr", "targetColumn": "id", "dataType": "string"},
        {"sourceColumn": "Seit", "targetColumn": "since", "dataType": "date"},
    ]
    flat = {
        "workflow_id": "crm",
        "job_id": name,
        "workflow_name": "CRM",
        "job_name": "Customers",
        "source_type": "file",
        "landing_key": key,
        "file_format": "csv",
        "file_options": {"delimiter": ","},
        "column_mappings": mappings,
        "has_header": True,
        "primary_keys": ["id"],
    }
    table = loaded(stack, flat, key)
    assert table["status"] == "published", table
    found = stack.lake(f'SELECT id, since::VARCHAR, "Ort" FROM gold.{name} ORDER BY id')
    assert found == [("007", "2024-01-31", "Ulm"), ("008", "2024-02-29", None)]


def test_should_tell_what_a_reset_means_for_rows_that_are_only_added(stack: Stack, name: str):
    document = asked(name, {})
    key = drop(stack, name, "1.csv", "id\n1\n2\n")
    assert loaded(stack, document, key)["notes"] == []
    assert flowforge(stack, "watermark", "reset", f"bronze_{name}", "--yes").returncode == 0
    (note,) = loaded(stack, document, key)["notes"]
    assert "loaded again" in note and "2 rows of before" in note
    assert stack.lake(f"SELECT count(*) FROM gold.{name}") == [(4,)]
