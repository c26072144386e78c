"""Requests that load files, in parts."""

import copy
import json
from typing import Any

import pytest

from events.request import FileSource, InvalidRequest, parse_job_request
from flowforge.jobs.file_plan import files_of
from tests.helpers.documents import put

FILES = "source_config.fileConfig"


TO = "destination_config"


BASE = {
    "workflow_id": "crm",
    "job_id": "customers",
    "source_type": "file",
    "source_config": {"type": "csv", "fileConfig": {"filePath": "landing/crm/customers/a.csv"}},
}


QUARANTINE = {f"{FILES}.badRows": "quarantine"}


def column(**settings: Any) -> list[dict[str, Any]]:
    return [{"name": "a"} | settings]


def of_form(form: str) -> dict[str, Any]:
    return {"source_config.type": form}


def changed(settings: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(BASE)
    for path, value in settings.items():
        put(document, path, value)
    return document


def read(document: dict[str, Any]) -> dict[str, Any]:
    """What a command says of the files of a request."""
    request = parse_job_request(document)
    assert isinstance(request.source_config, FileSource)
    return json.loads(files_of(request, request.source_config).model_dump_json())


def mistakes(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(document)
    return {mistake["field"]: mistake["problem"] for mistake in refused.value.mistakes}
