"""Requests for files: what each field does, what is refused, and the forms of the pipeline before this one."""

import hashlib
from typing import Any

import pytest

from events.files import FileColumn, FileContract
from events.request import FileColumnConfig, FileConfig
from events.targets import SourceFiles
from tests.helpers.file_requests import FILES, QUARANTINE, TO, changed, column, mistakes, of_form, read

PLACED = [{"name": "a", "start": 1, "width": 2}]


# field -> two values (None: left out), and what it needs around it
FIELDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "filePath": ("a.csv", "b.csv", {}),
    "filePattern": ("*.csv", "b*.csv", {f"{FILES}.filePath": None}),
    "uploadMode": ("single", "directory", {}),
    "encoding": (None, "windows-1252", {}),
    "delimiter": (None, ";", {}),
    "quote": (None, "", {}),
    "escape": (None, "\\", {}),
    "hasHeader": (None, False, {}),
    "skipRows": (None, 2, {}),
    "skipFooterRows": (None, 1, {}),
    "compressionType": (None, "gzip", {}),
    "member": (None, "inner.csv", {}),
    "nullWords": (None, ["NULL"], {}),
    "emptyIsNull": (None, False, {}),
    "recordsAt": (None, "data.rows", of_form("json")),
    "flatten": (None, True, of_form("ndjson")),
    "sheet": (None, "Kunden", of_form("excel")),
    "cellRange": (None, "B3:F9", of_form("excel")),
    "headerRow": (None, 4, of_form("excel")),
    "badRows": (None, "quarantine", {}),
    "mostBadRows": (None, 5, QUARANTINE),
    "mostBadShare": (None, 0.5, QUARANTINE),
    "unknownColumns": (None, "rescue", {}),
    "types": (None, "inferred", {}),
    "columnNames": (None, "slug", {}),
    "order": (None, "arrival", {}),
    "datePattern": (None, "yyyy-MM-dd", {f"{FILES}.order": "date"}),
    "changedFile": (None, "refuse", {}),
    "together": (None, False, {}),
    "protect": ({}, {"a": "null"}, {f"{FILES}.columns": column()}),
    "protectionKey": ("flowforge/k", "flowforge/l", {f"{FILES}.columns": column(), f"{FILES}.protect": {"a": "hmac"}}),
    "allowEmptyRefresh": (None, True, {f"{TO}.bronzeConfig.loadStrategy": "full_refresh"}),
}


TOLD = column(operations={"I": "insert", "D": "delete"})


KEYED = {f"{TO}.silverConfig.primaryKey": "id"}


WHOLE = {f"{TO}.bronzeConfig.loadStrategy": "full_refresh"}


NO_AUDIT = {f"{TO}.bronzeConfig.auditColumns": False}


REPLACED = {f"{TO}.silverConfig.mergeStrategy": "replace"}


DELETES = {f"{TO}.silverConfig.deletes": "soft"}


COLUMNS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "name": (column(), column(name="b"), {}),
    "field": (column(), column(field="A"), {}),
    "type": (column(), column(type="decimal(18,2)"), {}),
    "pattern": (column(type="date"), column(type="date", pattern="dd.MM.yyyy"), {}),
    "decimalComma": (column(type="double"), column(type="double", decimalComma=True), {}),
    "thousands": (column(type="bigint"), column(type="bigint", thousands="."), {}),
    "nullable": (column(), column(nullable=False), {}),
    "operations": (column(), column(operations={"I": "insert"}), {f"{TO}.silverConfig.primaryKey": "id"}),
    "start": (PLACED, column(start=2, width=2), of_form("fixed")),
    "width": (PLACED, column(start=1, width=3), of_form("fixed")),
}


def test_should_know_every_field_of_a_file_request():
    assert set(FIELDS) | {"columns"} == set(FileConfig.model_fields)
    assert set(COLUMNS) == set(FileColumnConfig.model_fields)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_should_use_every_field(field):
    one, other, around = FIELDS[field]
    path = f"{FILES}.{field}"
    assert read(changed(around | {path: one})) != read(changed(around | {path: other}))


@pytest.mark.parametrize("field", sorted(COLUMNS))
def test_should_use_every_field_of_a_column(field):
    one, other, around = COLUMNS[field]
    path = f"{FILES}.columns"
    assert read(changed(around | {path: one})) != read(changed(around | {path: other}))


@pytest.mark.parametrize(
    ("around", "keys", "pattern"),
    [
        ({f"{FILES}.filePath": "landing/x/a.csv"}, ["landing/x/a.csv"], ""),
        ({f"{FILES}.filePath": ["a.csv", "b.csv"]}, ["landing/crm/customers/a.csv", "landing/crm/customers/b.csv"], ""),
        ({f"{FILES}.filePath": None}, [], "landing/crm/customers/*"),
        ({f"{FILES}.filePath": "daily/", f"{FILES}.uploadMode": "directory"}, [], "landing/crm/customers/daily/*"),
        ({f"{FILES}.filePath": None, f"{FILES}.filePattern": "**/*.csv"}, [], "landing/crm/customers/**/*.csv"),
    ],
)
def test_should_find_the_files_below_landing(around, keys, pattern):
    found = read(changed(around))
    assert (found["keys"], found["pattern"]) == (keys, pattern)


@pytest.mark.parametrize(
    ("settings", "field", "problem"),
    [
        ({f"{FILES}.filePath": "s3://other/a.csv"}, f"{FILES}.filePath", "lake's bucket"),
        ({f"{FILES}.filePath": "landing/../bronze/a.csv"}, f"{FILES}.filePath", "parts"),
        ({f"{FILES}.filePath": "/etc/passwd"}, f"{FILES}.filePath", "lake's bucket"),
        ({f"{FILES}.filePattern": "*.csv"}, FILES, "not both"),
        ({f"{FILES}.mostBadRows": 3}, f"{FILES}.mostBadRows", "quarantine"),
        ({f"{FILES}.sheet": "x"}, f"{FILES}.sheet", "excel only"),
        ({f"{FILES}.datePattern": "yyyy"}, f"{FILES}.datePattern", "order date"),
        ({f"{FILES}.columns": column(type="varchar(3)")}, f"{FILES}.columns.0.type", "decimal(p,s)"),
        ({f"{FILES}.columns": column(thousands=".")}, f"{FILES}.columns.0.thousands", "bigint, double"),
        ({f"{FILES}.columns": column(type="double", thousands=".")}, f"{FILES}.columns.0.thousands", "decimalComma"),
        ({f"{FILES}.columns": column(pattern="dd.MM.yyyy")}, f"{FILES}.columns.0.pattern", "date or timestamp"),
        ({f"{FILES}.columns": [*column(), *column(name="A")]}, f"{FILES}.columns", "more than case"),
        ({f"{FILES}.columns": [*column(), *column(field="b")]}, f"{FILES}.columns", "named a and a"),
        ({f"{FILES}.encoding": "base64"}, f"{FILES}.encoding", "is no encoding"),
        ({f"{FILES}.encoding": "ANSI 1252"}, f"{FILES}.encoding", "utf-16 or windows-1252"),
        ({"source_config.type": "fixed"}, f"{FILES}.columns", "start and width"),
        ({"source_type": "database"}, "source_type", "names files"),
        ({"job_id": "a/b"}, "job_id", "folder"),
        ({f"{TO}.bronzeConfig.loadStrategy": "incremental"}, f"{TO}.bronzeConfig.loadStrategy", "once each"),
        ({f"{TO}.silverConfig.mergeStrategy": "merge"}, f"{TO}.silverConfig.mergeStrategy", "primaryKey"),
        ({f"{TO}.silverConfig.deletes": "hard"}, f"{TO}.silverConfig.deletes", "full_refresh"),
        ({f"{FILES}.changedFile": "replace"} | WHOLE, f"{FILES}.changedFile", "whole table"),
        ({f"{FILES}.changedFile": "replace"} | NO_AUDIT, f"{FILES}.changedFile", "_source_file"),
        ({f"{FILES}.changedFile": "replace"} | REPLACED, f"{FILES}.changedFile", "all rows"),
        ({f"{FILES}.changedFile": "replace"} | DELETES, f"{TO}.silverConfig.deletes", "primaryKey"),
        ({f"{FILES}.columns": TOLD}, f"{TO}.silverConfig.primaryKey", "which row a change is of"),
        ({f"{FILES}.columns": [*TOLD, *TOLD]} | KEYED, f"{FILES}.columns", "several have operations"),
        ({f"{FILES}.columns": TOLD, f"{FILES}.changedFile": "replace"} | KEYED, f"{FILES}.changedFile", "changes"),
        ({f"{FILES}.columns": TOLD} | KEYED | WHOLE, f"{TO}.bronzeConfig.loadStrategy", "no snapshots"),
        ({f"{FILES}.columns": TOLD} | KEYED | NO_AUDIT, f"{TO}.bronzeConfig.auditColumns", "_row_number"),
        ({f"{FILES}.columns": TOLD} | KEYED | REPLACED, f"{TO}.silverConfig.mergeStrategy", "by merge"),
        ({f"{FILES}.columns": column(operations={"I": "upsert"})}, f"{FILES}.columns.0.operations.I", "before"),
        ({f"{FILES}.columns": column(operations={})}, f"{FILES}.columns.0.operations", ""),
        (
            {f"{FILES}.columns": column(type="bigint", operations={"1": "insert"})},
            f"{FILES}.columns.0.operations",
            "as text",
        ),
        ({f"{FILES}.allowEmptyRefresh": True}, f"{FILES}.allowEmptyRefresh", "full_refresh"),
        ({f"{FILES}.protect": {"a": "null"}}, f"{FILES}.protect", "give all columns"),
        ({f"{FILES}.protect": {"b": "null"}, f"{FILES}.columns": column()}, f"{FILES}.protect", "names b"),
        ({f"{FILES}.protect": {"a": "hide"}, f"{FILES}.columns": column()}, f"{FILES}.protect", "expected drop"),
        ({f"{FILES}.protect": {"a": "hmac"}, f"{FILES}.columns": column()}, f"{FILES}.protectionKey", "hmac needs it"),
        (
            {f"{FILES}.protect": {"a": "null"}, f"{FILES}.columns": column(), f"{FILES}.unknownColumns": "rescue"},
            f"{FILES}.unknownColumns",
            "is refuse where a job protects columns",
        ),
        ({f"{FILES}.unheard": 1}, f"{FILES}.unheard", "unknown field"),
    ],
)
def test_should_refuse_with_the_field_and_what_works(settings, field, problem):
    assert problem in mistakes(changed(settings))[field]


def test_should_take_deletes_where_new_content_of_a_file_tells_of_them():
    keyed = {f"{TO}.silverConfig.primaryKey": "id", f"{TO}.silverConfig.deletes": "soft"}
    assert read(changed({f"{FILES}.changedFile": "replace"} | keyed))["changed"] == "replace"


def test_should_let_deletions_of_changes_follow_deletes():
    document = changed({f"{FILES}.columns": TOLD, f"{TO}.silverConfig.deletes": "soft"} | KEYED)
    (told,) = read(document)["contract"]["columns"]
    assert (told["name"], told["field"], told["nullable"]) == ("_change_type", "a", False)


def test_should_know_a_contract_by_the_digest_that_it_had_before_columns_could_tell_operations():
    files = SourceFiles(
        workflow="w",
        job="j",
        keys=["a"],
        contract=FileContract(format="csv", columns=[FileColumn(name="a", field="a")]),
    )
    told = files.contract.model_copy(update={"columns": [FileColumn(name="a", field="a", operations={"I": "insert"})]})
    before = files.contract.model_dump_json(
        exclude={"types": True, "column_names": True, "columns": {0: {"operations"}}}
    )
    assert "operations" not in before
    assert files.contract_id == hashlib.sha256(before.encode()).hexdigest()[:16]
    assert files.model_copy(update={"contract": told}).contract_id != files.contract_id
