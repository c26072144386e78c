"""Rows of a person are found however their key is written or stored, in objects of every kind that loads leave behind."""

import json
import random
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.bronze.keys import bronze_key
from flowforge.bronze.parquet import FOOTER, footer
from flowforge.bronze.upload import PART_BYTES
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal
from flowforge.domain.given import given
from flowforge.domain.manifest import BronzeObject
from flowforge.operations.erasure.erase import erase
from flowforge.operations.erasure.report import Erasure
from flowforge.operations.erasure.spellings import loose, readings, whole_number, words
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, folded
from tests.helpers.lake import with_footers

KEY = "srv:1/db/dbo.{0}>bronze_{0}"
AMOUNT = pa.decimal128(18, 4)
CASES = {
    "decimal": (AMOUNT, "decimal(18,4)", [Decimal("-1.5"), Decimal("1.5")], "-1.50"),
    "datetime2": (pa.timestamp("us"), "datetime2(3)", [datetime(2024, 1, 1), datetime(2024, 1, 1, 1)], "2024-01-01"),
    "uniqueidentifier": (pa.string(), "uniqueidentifier", ["0E984725-C51C-4BF4-9960-E1C80E27ABA0", "0"],
                         "0E984725-C51C-4BF4-9960-E1C80E27ABA0"),
    "char": (pa.string(), "char(9)", ["Ab       ", "Abc      "], "aB"),
    "int": (pa.int64(), "bigint", [-7, 7], "-07"),
    "float": (pa.float64(), "float", [-0.5, 0.5], "-0.50"),
}  # fmt: skip


def landed(lake: Any, recorded: Any, table: str, *parts: pa.Table, **wanted: Any) -> list[Any]:
    """Batches with footers, applied and recorded, one for each part."""
    source = lake.source(table, key=["id"], source_key=KEY.format(table), **wanted)
    return [recorded(with_footers(lake, source.batch(n, part))) for n, part in enumerate(parts, start=1)]


def erased(lake: Any, table: str, apply: bool = True, **key: str) -> Erasure:
    return erase(lake.bucket, table, key, apply)


def bronze_ids(lake: Any, prefix: str) -> list[Any]:
    found = client("s3").list_objects_v2(Bucket=lake.bucket, Prefix=prefix).get("Contents", [])
    bodies = [client("s3").get_object(Bucket=lake.bucket, Key=one["Key"])["Body"].read() for one in found]
    return [value for body in bodies for value in pq.read_table(BytesIO(body)).column("id").to_pylist()]


def with_keys(lake: Any, batch: Batch, ids: list[int]) -> str:
    """A batch of keys behind that batch; returns the name of its object."""
    command = batch.command.model_copy(update={"only_keys": True})
    keys = batch.model_copy(update={"seq": 9, "label": "b9", "command": command, "refined": True, "published": True})
    body, columns = BytesIO(), given(batch.manifest).columns[:1]
    rows = pa.table({"id": pa.array(ids, pa.int64())})
    with pq.ParquetWriter(body, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({FOOTER: json.dumps(footer(keys, columns, len(ids)))})
    key = bronze_key(keys)
    etag = client("s3").put_object(Bucket=lake.bucket, Key=key, Body=body.getvalue())["ETag"]
    one = BronzeObject(key=key, etag=etag, rows=len(ids), bytes=len(body.getvalue()))
    manifest = given(batch.manifest).model_copy(update={"objects": [one], "rows": len(ids), "columns": columns})
    item = batch_records.item_of(keys.model_copy(update={"manifest": manifest}))
    items.put(settings().watermarks_table, {name: value for name, value in item.items() if name != "open"})
    return key


@pytest.mark.parametrize("name", CASES)
def test_should_find_a_key_of_any_type_as_people_write_it(lake, recorded, name):
    kind, sql_type, values, written = CASES[name]
    column = {"sql_type": sql_type, "nullable": True, "collation": "SQL_Latin1_General_CP1_CI_AS"}
    rows = pa.table({"id": pa.array([*values, None], kind), "v": [1, 2, 3]})
    landed(lake, recorded, "people", rows, columns={"id": column})
    found = erased(lake, "people", id=written)
    assert (found.left, found.remains) == ([], []), found.document()
    assert bronze_ids(lake, "bronze/bronze_people/") == [values[1], None]  # NULL is nobody's
    assert lake.read("silver", "people").column("v").to_pylist() in ([2], [2, 3])
    assert rebuild_silver(lake.bucket, "people", False, 2).difference.equal


def test_should_refuse_a_time_that_the_column_does_not_hold(lake, recorded):
    rows = pa.table({"id": pa.array([datetime(2024, 1, 1)], pa.timestamp("us")), "v": [1]})
    landed(lake, recorded, "times", rows, columns={"id": {"sql_type": "datetime2(7)", "nullable": False}})
    for value in ("2024-01-01 00:00:00.0000001", "2024-01-01 00:00:00+02:00", "yesterday"):
        with pytest.raises(Fatal, match="the value that is given for id is no TIMESTAMP"):
            erased(lake, "times", apply=False, id=value)


def test_should_look_into_each_object_by_its_own_types_and_say_which_lack_the_key(lake, recorded):
    """A text of one generation and a number of another are read apart: together both would be texts, and unequal."""
    landed(lake, recorded, "typed", pa.table({"id": pa.array([Decimal("1.5"), Decimal(2)], AMOUNT), "v": [1, 2]}))
    columns = (
        ("id", pa.array(["1.5000", "3"])),
        ("id", pa.array([Decimal("1.5"), Decimal(3)], pa.decimal128(18, 2))),
        ("called_otherwise", pa.array(["1.5", "4"])),
    )
    for n, (name, values) in enumerate(columns):
        source = lake.source("typed", key=[name], source_key=KEY.format("typed"))
        batch = with_footers(lake, source.batch(n + 7, pa.table({name: values, "v": [1, 2]})))
        items.put(settings().watermarks_table, batch_records.item_of(batch.model_copy(update={"state": "voided"})))
    found = erased(lake, "typed", id="1.50")
    bronze = next(layer for layer in found.found if layer.name == "bronze")
    assert (bronze.objects, bronze.holding, bronze.rows) == (4, 3, 3)
    assert found.left == [
        "1 objects in bronze without the key's columns, as they were called otherwise: of their rows nobody can tell"
    ]


def test_should_erase_from_objects_of_keys_and_of_folded_batches_and_large_ones(lake, recorded):
    """One object is larger than what is uploaded at once; the record of the first batch is gone."""
    count = 60_000
    noise = [random.Random(n).randbytes(96).hex() for n in range(count)]
    shuffled = pa.table({"id": pa.array(range(count), pa.int64()), "v": pa.array(noise)})
    column = {"sql_type": "bigint", "nullable": False}
    batches = landed(lake, recorded, "large", shuffled, shuffled.slice(0, 9), columns={"id": column})
    assert folded.fold(batches[0].source_key, [given(batch_records.find_batch(batches[0].source_key, 1, 1))])
    keys = with_keys(lake, batches[-1], [1, 5, 7])
    found = erased(lake, "large", id="5")
    assert (found.left, found.remains) == ([], []), found.document()
    sizes = {
        one["Key"]: one["Size"]
        for one in client("s3").list_objects_v2(Bucket=lake.bucket, Prefix="bronze/")["Contents"]
    }
    assert max(sizes.values()) > PART_BYTES and bronze_ids(lake, keys) == [1, 7]
    assert 5 not in bronze_ids(lake, "bronze/bronze_large/") and lake.read("silver", "large").num_rows == count - 1


def test_should_find_a_value_in_a_text_however_it_is_escaped_and_grouped():
    number = whole_number("1234567", False)
    for text in ("x;1234567;y", "1,234,567", "12,34,567", "-0001.234.567,00", '{"id": "1 234 567"}'):
        assert number.search(text), text
    for text in ("11234567", "12345678", "123,4567"):
        assert not number.search(text), text
    assert whole_number("42", True).search("000042SMITH") and not whole_number("42", False).search("000042SMITH")
    for raw in (
        '{"a": "x\\nO\'Brien \\"Bo\\""}',
        '"O\'Brien ""Bo""",1',
        'o\'brien "bo"',
        '{"a": "O\\u0027Brien \\"Bo\\""}',
    ):
        assert any(words('O\'Brien "Bo"', False).search(text) for text in readings(raw)), raw


def test_should_take_all_ways_to_print_a_key_for_one():
    for one, other in (
        ("2024-01-01", "2024-01-01 00:00:00.0000000"),
        ("2024-01-01 10:00:00.123456", "2024-01-01T10:00:00.1234567"),
        ("2024-01-01 08:00:00+00", "2024-01-01 10:00:00.000 +02:00"),
        ("1.50", "1.5"), ("-07", "-7"), ("José ", "JOSE"),
    ):  # fmt: skip
        assert loose(one) == loose(other), (one, other)
    assert loose("7") != loose("-7") and loose("2024-01-01") != loose("2024-01-02")
