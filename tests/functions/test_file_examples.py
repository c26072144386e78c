"""The requests of examples/files, each with its file: what the documents show is loaded as it stands."""

import datetime
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.commands import IngestTable
from events.envelopes import http
from events.facts import BronzeLanded
from flowforge.bronze.ingest import ingest
from functions.submit_job.handler import handler
from tests.helpers.servers import ROOT

DAY, NEXT = datetime.date(2026, 11, 27), datetime.date(2026, 11, 28)
AT = datetime.datetime(2026, 11, 28, 6, tzinfo=datetime.UTC)
FILES = ROOT / "examples" / "files"
LOADED: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "customers": (
        "customers.csv",
        [
            (1, "Müller; Söhne", "01067", Decimal("1250.20"), datetime.date(2024, 5, 1)),
            (2, "Ünal", "80331", Decimal("-3.50"), datetime.date(2024, 5, 31)),
            (3, 'Weiß "Bau"', "10115", Decimal("0.00"), None),
        ],
    ),
    "countries": (
        "countries.tsv",
        [("DE", "Deutschland", "+49"), ("FR", "France", "+33"), ("NA", "Namibia", "+264")],
    ),
    "payments": (
        "payments.txt",
        [
            ("DE0001", DAY, Decimal("1250.20"), "Miete"),
            ("DE0002", DAY, Decimal("-3.50"), "Gebühr"),
            ("DE0003", NEXT, Decimal("0.00"), None),
        ],
    ),
    "rates": ("rates.json", [("USD", Decimal("1.1000"), DAY), ("CHF", Decimal("0.9400"), DAY)]),
    "logins": (
        "logins.ndjson",
        [
            (9007199254740993, "ann", AT, '{"os": "linux"}'),
            (9007199254740994, "bob", AT + datetime.timedelta(seconds=1), None),
        ],
    ),
    "balances": (
        "balances.parquet",
        [(1, DAY, Decimal("10.50")), (2, DAY, Decimal("-3.00")), (3, DAY, None)],
    ),
    "branches": (
        "branches.xlsx",
        [("001", "Köln", datetime.date(1998, 3, 1), 12), ("002", "Ulm", datetime.date(2004, 9, 15), 7)],
    ),
}


def test_should_have_an_example_of_every_request():
    assert {path.name for path in FILES.glob("request-*.json")} == {f"request-{name}.json" for name in LOADED}


@pytest.mark.parametrize("name", LOADED)
def test_should_load_the_example_as_it_stands(aws, context, monkeypatch, name):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    document = json.loads((FILES / f"request-{name}.json").read_text())
    workflow, job = document["workflow_id"], document["job_id"]
    file, expected = LOADED[name]
    aws.client("s3").upload_file(str(FILES / file), aws.name("Lake"), f"landing/{workflow}/{job}/{file}")
    answer = handler(http("POST", f"/api/workflows/{workflow}/run", "/api/workflows/{id}/run", document), context)
    assert answer["statusCode"] == 202, answer["body"]
    run_id = json.loads(answer["body"])["run_id"]
    bodies = [message["body"] for message in aws.messages("IngestQueue") if message["body"]["run_id"] == run_id]
    (landed,) = ingest(IngestTable.model_validate(bodies[0])).facts
    assert isinstance(landed, BronzeLanded)
    body = aws.client("s3").get_object(Bucket=aws.name("Lake"), Key=landed.bronze_key)["Body"].read()
    rows = pq.read_table(pa.BufferReader(body)).to_pylist()
    columns = [column["name"] for column in document["source_config"]["fileConfig"]["columns"]]
    assert [tuple(row[column] for column in columns) for row in rows] == expected
