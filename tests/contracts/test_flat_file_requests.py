"""The flat request of files that the pipeline before this one took, as today's."""

import copy

import pytest

from events.request import JobRequest, parse_job_request
from tests.helpers.file_requests import BASE, TO, mistakes, read

FLAT = {
    "workflow_id": "crm",
    "job_id": "customers",
    "workflow_name": "CRM",
    "job_name": "Customers",
    "source_type": "file",
    "landing_key": "landing/crm/customers/customers.csv",
    "file_format": "csv",
    "file_options": {"delimiter": ";", "encoding": "latin-1"},
    "column_mappings": [
        {"sourceColumn": "Kd-Nr", "targetColumn": "id", "dataType": "integer"},
        {"sourceColumn": "Umsatz", "targetColumn": "sales", "dataType": "decimal(18,2)"},
        {"sourceColumn": "Ort", "targetColumn": "city", "dataType": "string"},
    ],
    "has_header": True,
    "primary_keys": ["id"],
}


def test_should_take_the_flat_request_of_before():
    found = read(FLAT)
    contract = found["contract"]
    assert found["keys"] == ["landing/crm/customers/customers.csv"]
    assert (contract["format"], contract["delimiter"], contract["encoding"]) == ("csv", ";", "latin-1")
    columns = [(one["name"], one["field"], one["type"]) for one in contract["columns"]]
    assert columns == [("id", "Kd-Nr", "bigint"), ("sales", "Umsatz", "decimal(18,2)"), ("city", "Ort", "text")]
    assert contract["unknown_columns"] == "add"
    silver = parse_job_request(FLAT).destination_config.silverConfig
    assert silver is not None
    assert silver.primaryKey == ["id"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "excel"])
def test_should_take_the_form_of_before_with_what_its_page_sends_for_every_format(form):
    config = {
        "filePath": "",
        "filePattern": "landing/crm/customers/*",
        "uploadMode": "pattern",
        "encoding": "utf-8",
        "delimiter": ",",
        "hasHeader": True,
        "skipRows": 0,
        "skipFooterRows": 0,
        "compressionType": "none",
    }
    found = read({**BASE, "source_config": {"type": form, "fileConfig": config}})
    assert found["pattern"] == "landing/crm/customers/*"
    assert (found["contract"]["format"], found["contract"]["compression"]) == (form, "none")


def test_should_say_what_of_the_form_has_no_meaning_here():
    layers = {
        "bronzeConfig": {"enabled": True, "loadStrategy": "overwrite", "storageFormat": "parquet", "partitionKeys": []},
        "silverConfig": {"mergeStrategy": "full_refresh", "surrogateKeyStrategy": "uuid", "retentionDays": 30},
        "goldConfig": {"refreshStrategy": "full_rebuild", "storageFormat": "iceberg", "enabled": False},
    }
    refused = mistakes({**BASE, "destination_config": layers})
    assert set(refused) == {
        f"{TO}.silverConfig.surrogateKeyStrategy",
        f"{TO}.silverConfig.retentionDays",
        f"{TO}.goldConfig.storageFormat",
        f"{TO}.goldConfig.enabled",
    }
    for layer, field in (path.split(".")[1:] for path in refused):
        del layers[layer][field]
    request: JobRequest = parse_job_request({**BASE, "destination_config": layers})
    destination = request.destination_config
    assert destination.bronzeConfig.loadStrategy == "full_refresh"
    assert destination.silverConfig is not None
    assert destination.silverConfig.mergeStrategy == "replace"


def test_should_name_what_of_the_flat_request_is_not_known():
    document = copy.deepcopy(FLAT)
    document["file_options"]["colour"] = "red"
    document["column_mappings"][0]["dataType"] = "money"
    assert set(mistakes(document)) == {"file_options.colour", "column_mappings.0.dataType"}
