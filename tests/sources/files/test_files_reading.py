"""Files of every format behind the seam, with and without a contract's columns: what a batch of them has."""

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from events.files import FileColumn, FileContract
from events.targets import FilePlace, SourceFiles
from flowforge.aws.clients import client
from flowforge.domain.errors import FileRefused, UnknownColumn, UnsupportedSource
from flowforge.domain.given import given
from flowforge.sources.files.source import Files
from flowforge.sources.plans import Wanted
from flowforge.sources.reports import ReadReport

COLUMNS = [FileColumn(name="id", field="id", type="bigint"), FileColumn(name="name", field="name")]
FIXED = [
    FileColumn(name="id", field="id", type="bigint", start=1, width=2),
    FileColumn(name="name", field="name", start=3, width=1),
]
ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def workbook(*rows: tuple[Any, ...]) -> bytes:
    book, sink = Workbook(), io.BytesIO()
    for row in rows:
        given(book.active).append(row)
    book.save(sink)
    return sink.getvalue()


FORMATS: dict[str, bytes] = {
    "csv": b"id,name\n1,a\n2,\n",
    "tsv": b"id\tname\n1\ta\n2\t\n",
    "fixed": b" 1a\n 2 \n",
    "ndjson": b'{"id":1,"name":"a"}\n{"id":2}\n',
    "json": b'[{"id":1,"name":"a"},{"id":2,"name":null}]',
    "parquet": parquet(id=[1, 2], name=["a", None]),
    "excel": workbook(("id", "name"), (1, "a"), (2, None)),
}


@pytest.fixture
def read(bucket: str) -> Callable[..., tuple[list[dict[str, Any]], pa.Schema, ReadReport]]:
    """Puts files, and reads them as one batch under a contract."""

    def rows_of(contract: FileContract, *bodies: bytes, audited: bool = False, **wanted: Any) -> Any:
        for number, body in enumerate(bodies):
            client("s3").put_object(Bucket=bucket, Key=f"landing/{number}", Body=body)
        files = SourceFiles(workflow="w", job="j", pattern="landing/*", contract=contract)
        source = Files(FilePlace(bucket=bucket))
        order = Wanted(files, bronze_table="bronze_j", adds_only=True, audited=audited, **wanted)
        with source.session() as session:
            description = session.describe(order)
            plan = source.resume(session.plan(description, {}).interval, description)
        with source.open(plan) as reader:
            table = pa.Table.from_batches(list(reader), reader.schema)
        assert [column.name for column in plan.columns] == table.schema.names[: len(plan.columns)]
        return table.to_pylist(), table.schema, reader.report()

    return rows_of


@pytest.mark.parametrize("form", FORMATS)
def test_should_read_files_of_every_format_by_their_contract(read, form):
    contract = FileContract.model_validate({"format": form, "columns": FIXED if form == "fixed" else COLUMNS})
    contract = contract.model_copy(update={"header": form != "fixed"})
    rows, schema, report = read(contract, FORMATS[form], FORMATS[form])
    assert rows == [*ROWS, *ROWS]
    assert schema.names == ["id", "name"]
    assert [(one.rows, one.rejected) for one in report.files] == [(2, 0), (2, 0)]


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "fixed"])
def test_should_take_the_columns_of_the_first_file_where_the_contract_has_none(read, form):
    rows, schema, _ = read(FileContract.model_validate({"format": form}), FORMATS[form], FORMATS[form])
    typed = form == "parquet"
    assert rows == [{"id": row["id"] if typed else str(row["id"]), "name": row["name"]} for row in [*ROWS, *ROWS]]
    assert schema.names == ["id", "name"]


MORE = {
    "csv": b"id,more,name\n3,m,c\n",
    "ndjson": b'{"id":3,"more":"m","name":"c"}\n',
    "json": b'[{"id":3,"more":"m","name":"c"}]',
    "parquet": parquet(id=[3], more=["m"], name=["c"]),
    "excel": workbook(("id", "more", "name"), (3, "m", "c")),
}


@pytest.mark.parametrize("form", MORE)
def test_should_add_unknown_columns_or_keep_them_as_json_or_refuse_the_file_as_the_contract_says(read, form):
    contract = FileContract.model_validate({"format": form, "columns": COLUMNS, "unknown_columns": "add"})
    files = FORMATS[form], MORE[form]
    rows, schema, _ = read(contract, *files)
    assert schema.names == ["id", "name", "more"]
    assert rows == [*({**row, "more": None} for row in ROWS), {"id": 3, "name": "c", "more": "m"}]
    rows, schema, _ = read(contract.model_copy(update={"unknown_columns": "rescue"}), *files)
    assert schema.names == ["id", "name", "_rescued"]
    assert [row["_rescued"] and json.loads(row["_rescued"]) for row in rows] == [None, None, {"more": "m"}]
    with pytest.raises(FileRefused, match=r"landing/1.*more|more.*landing/1") as refused:
        read(contract.model_copy(update={"unknown_columns": "refuse"}), *files)
    assert refused.value.file.key == "landing/1"


NAMED = {
    "csv": "Kunde Nr;STRASSE/Ort;2024 Ümsatz (€)\n1;x;2\n".encode(),
    "ndjson": '{"Kunde Nr":1,"STRASSE/Ort":"x","2024 Ümsatz (€)":2}\n'.encode(),
    "json": '[{"Kunde Nr":1,"STRASSE/Ort":"x","2024 Ümsatz (€)":2}]'.encode(),
    "parquet": parquet(**{"Kunde Nr": [1], "STRASSE/Ort": ["x"], "2024 Ümsatz (€)": [2]}),
    "excel": workbook(("Kunde Nr", "STRASSE/Ort", "2024 Ümsatz (€)"), (1, "x", 2)),
}


@pytest.mark.parametrize(
    ("form", "types"),
    [(form, types) for form in NAMED for types in ("text", "inferred") if (form, types) != ("parquet", "inferred")],
)
def test_should_name_columns_by_slugs_where_the_job_wants_them(read, form, types):
    settings = {"format": form, "delimiter": ";", "types": types, "column_names": "slug"}
    rows, schema, _ = read(FileContract.model_validate(settings), NAMED[form])
    assert schema.names == ["kunde_nr", "strasse_ort", "_2024_umsatz"]
    number = 1 if types == "inferred" or form == "parquet" else "1"
    assert rows[0]["kunde_nr"] == number


CLASHES = [
    ({}, b"Kunde-Nr,Kunde Nr\n1,2\n", r"'Kunde Nr' would have the name kunde_nr, which the field 'Kunde-Nr' has"),
    ({}, "id,日本\n1,2\n".encode(), "nothing of the field '日本' is left"),
    (
        {"unknown_columns": "add", "columns": [FileColumn(name="Kunde_Nr", field="nr")]},
        b"nr,Kunde Nr\n1,2\n",
        r"'Kunde Nr' would have the name kunde_nr, which the column 'Kunde_Nr' has",
    ),
]


@pytest.mark.parametrize(("settings", "body", "problem"), CLASHES)
def test_should_refuse_fields_that_would_share_a_name_or_have_none_by_both_of_them(read, settings, body, problem):
    contract = FileContract.model_validate({"format": "csv", "column_names": "slug", **settings})
    with pytest.raises(FileRefused, match=problem) as refused:
        read(contract, body)
    assert "give columns in the request" in refused.value.remedy


def test_should_put_the_audit_columns_behind_what_was_rescued(read):
    contract = FileContract(format="csv", columns=COLUMNS, unknown_columns="rescue")
    rows, schema, _ = read(contract, MORE["csv"], audited=True)
    audit = ["_source_file", "_file_modified_time", "_file_version", "_row_number"]
    assert schema.names == ["id", "name", "_rescued", *audit]
    assert (rows[0]["_source_file"], rows[0]["_row_number"]) == ("landing/0", 1)


@pytest.mark.parametrize("names", [("id", "ID"), ("id", "_batch_id"), ("id", "_Row_Number"), ("id", "_is_current")])
def test_should_refuse_columns_that_the_lake_takes_for_one_or_has_itself(read, names):
    columns = [FileColumn(name=name, field=str(place)) for place, name in enumerate(names, start=1)]
    with pytest.raises(UnsupportedSource, match=names[1]):
        read(FileContract(format="csv", header=False, columns=columns), b"1,2\n", audited=True)


def test_should_refuse_a_key_that_is_no_column(read):
    with pytest.raises(UnknownColumn, match="nr"):
        read(FileContract(format="csv", columns=COLUMNS), FORMATS["csv"], key=("nr",))


def test_should_say_which_file_is_not_what_the_contract_says(read):
    with pytest.raises(FileRefused, match="landing/1 is a Parquet file, the contract says csv") as refused:
        read(FileContract(format="csv", columns=COLUMNS), FORMATS["csv"], FORMATS["parquet"])
    assert refused.value.file.key == "landing/1"
