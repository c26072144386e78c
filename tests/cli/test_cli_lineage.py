"""`flowforge lineage`: the tree, the columns, the data and the drawing, from events in the lake."""

import json
from xml.etree import ElementTree

import boto3
import pytest

from flowforge.domain.given import given
from flowforge.lineage.datasets import Dataset, DatasetId
from flowforge.lineage.origins import AGGREGATION, ColumnLineage, Origin
from flowforge.lineage.run_events import Step, run_event
from tests.helpers.lake_server import serving_table
from tests.helpers.servers import AWS_KEYS

BUCKET = "lake-of-lineage"
SOURCE = Dataset(DatasetId("mssql://db:1433", "Bank.dbo.pay<&>ments"), "Bank.dbo.pay<&>ments", {"amount": "money"})
SVG = "{http://www.w3.org/2000/svg}"


def of_lake(alias: str, **known) -> Dataset:
    return Dataset(DatasetId(f"s3://{BUCKET}", alias.replace(".", "/")), alias, **known)


def made(output: Dataset, *inputs: Dataset, **fields: Origin) -> tuple[str, bytes]:
    columns = ColumnLineage({name: frozenset({origin}) for name, origin in fields.items()})
    step = Step(output.alias, "COMPLETE", "2026-11-23T22:00:00Z", 1.0, inputs, output, "MODEL", columns=columns)
    return f"lineage/latest/{output.id.name}.json", json.dumps(run_event(step, "test")).encode()


@pytest.fixture(scope="module")
def s3():
    """A lake in which a source goes by bronze and silver into two gold tables."""
    bronze, silver = (
        of_lake("bronze.payments", types={"amount": None}),
        of_lake("silver.payments", types={"amount": "decimal"}),
    )
    total = of_lake("gold.total", types={"total": "decimal(38,2)", "counted": "long"}, version="7")
    events = [
        made(bronze, SOURCE, amount=Origin(SOURCE.alias, "amount")),
        made(silver, bronze, amount=Origin("bronze.payments", "amount")),
        made(of_lake("gold.payments", types={"amount": "decimal"}), silver, amount=Origin("silver.payments", "amount")),
        made(total, silver, of_lake("gold.payments"), total=Origin("silver.payments", "amount", AGGREGATION)),
    ]
    with serving_table(BUCKET, "silver/payments", "SELECT 1 AS amount") as url:
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **AWS_KEYS)
        for key, body in events:
            client.put_object(Bucket=BUCKET, Key=key, Body=body)
        yield url


@pytest.fixture
def lineage(alone, stack_file, s3):
    """The command, in a folder with a stack whose lake it is."""
    stack_file(s3=s3, bucket=BUCKET)
    return lambda *arguments: alone("lineage", *arguments)


def drawn(text: str) -> list[str]:
    return [line.strip("│├└─ ") for line in text.splitlines()]


def test_should_draw_what_a_table_is_made_from_and_what_it_goes_into(lineage):
    shown = lineage("payments")
    assert shown.code == 0, shown.err
    assert drawn(shown.out) == [
        "silver.payments  2026-11-23 22:00:00Z",
        "made from",
        "bronze.payments  2026-11-23 22:00:00Z",
        "Bank.dbo.pay<&>ments  on db:1433",
        "goes into",
        "gold.payments  2026-11-23 22:00:00Z",
        "gold.total  version 7, 2026-11-23 22:00:00Z",
        "gold.total  version 7, 2026-11-23 22:00:00Z",
    ]


def test_should_follow_columns_to_the_source(lineage):
    shown = lineage("gold.total", "--columns")
    (total,) = [line for line in shown.out.splitlines() if line.startswith("total")]
    assert "silver.payments.amount (aggregation)" in total
    assert "Bank.dbo.pay<&>ments.amount" in total


def test_should_answer_with_the_graph_as_data(lineage):
    document = lineage("Bank.dbo.pay<&>ments", "--json").document
    assert {table["table"]: table["layer"] for table in document["tables"]} == {
        "Bank.dbo.pay<&>ments": "source",
        "bronze.payments": "bronze",
        "silver.payments": "silver",
        "gold.payments": "gold",
        "gold.total": "gold",
    }
    assert {"from": "silver.payments", "to": "gold.total"} in document["edges"]
    assert {
        "from": {"table": "silver.payments", "column": "amount"},
        "to": {"table": "gold.total", "column": "total"},
        "type": "DIRECT",
        "subtype": "AGGREGATION",
    } in document["columns"]


@pytest.mark.parametrize("columns", [(), ("--columns",)])
def test_should_draw_an_svg_that_holds_names_as_text(lineage, alone, columns):
    shown = lineage("payments", "--svg", "x.svg", *columns)
    assert (shown.code, shown.err.strip()) == (0, "Drawn into x.svg.")
    root = ElementTree.parse(alone.folder / "x.svg").getroot()  # noqa: S314 - our own
    boxes = [{k: float(given(box.get(k))) for k in ("x", "y", "width", "height")} for box in root.iter(f"{SVG}rect")]
    width, height = float(given(root.get("width"))), float(given(root.get("height")))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert len(boxes) == 5
    assert all(box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)
    assert {"Bank.dbo.pay<&>ments", "gold.total"} <= set(texts)
    assert len(list(root.iter(f"{SVG}path"))) == (4 if columns else 5)
    assert ("counted" in texts) == bool(columns)
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert apart or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]


def test_should_name_the_tables_that_it_knows_when_there_is_no_such(lineage):
    ended = lineage("nobody", "--json")
    assert ended.code == 1
    assert ended.document["error"] == "NotFound"
    assert "gold.total" in ended.document["remedy"]


def test_should_say_where_it_cannot_write(lineage):
    ended = lineage("payments", "--svg", "no/such/folder/x.svg")
    assert (ended.code, "cannot write" in ended.err) == (2, True)
