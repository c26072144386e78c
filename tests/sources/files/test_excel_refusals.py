"""Workbooks that are refused, and why: no table, another document, out of order, made to fill memory."""

import io
import zipfile

import pytest

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import StoredFile
from flowforge.sources.files.records import open_file
from tests.helpers.workbooks import claimed, compound, edited, opened, read, saved


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (saved(["a", None, "b"], [1, 2, 3]), "cell B1 of the header is empty"),
        (saved(), "row 1 is empty"),
        (saved(["Id", "ID"], [1, 2]), "'Id' and 'ID'"),
        (saved(["#REF!"], [1]), "the header: cell A1 is the error #REF!"),
        (saved([f"c{place}" for place in range(10_001)]), "10,001 columns"),
        (edited(saved(["a"], [1]), lambda text: text[:-30]), "is damaged"),
        (
            edited(saved(["a"], [1], [2]), lambda text: text.replace('r="3"', 'r="1"')),
            "row 1 stands behind row 2",
        ),
        (
            edited(saved(["a"], [1]), lambda text: f"<!--{'x' * 2_000}<a--><!DOCTYPE x [<!ENTITY a 'b'>]>{text}"),
            "sheet1.xml has a DTD",
        ),
        (claimed(saved(["a"], [1]), 2**27 + 1), "at most 134,217,728 are read"),
        (claimed(saved(["a"], [1]), 2**32 - 2, "xl/x.bin"), "bytes expand to"),
    ],
)
def test_should_refuse_what_is_no_table(body: bytes, error: str) -> None:
    with pytest.raises(UnsupportedSource, match=error):
        read(body)


def test_should_open_a_workbook_under_a_contract() -> None:
    body = saved(["id"], [1])
    contract = FileContract(format="excel")
    with open_file(StoredFile("a.xlsx", len(body), lambda: io.BytesIO(body)), contract) as records:
        assert [portion.texts.to_pylist() for portion in records] == [[{"id": "1"}]]
    for wrong in (FileContract(format="csv"), FileContract(format="parquet")):
        with pytest.raises(UnsupportedSource, match="is a workbook, the contract says"):
            open_file(StoredFile("a.xlsx", len(body), lambda: io.BytesIO(body)), wrong)


def test_should_refuse_other_documents_and_workbooks_with_a_password() -> None:
    document = io.BytesIO()
    with zipfile.ZipFile(document, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(UnsupportedSource, match="a document of Office, and no workbook"):
        opened(document.getvalue())
    for names, what in (
        (("Root Entry", "EncryptedPackage"), "with a password"),
        (("Root Entry", "Workbook"), r"Excel 97-2003 \(.xls\)"),
        ((), "or one with a password"),
    ):
        with pytest.raises(UnsupportedSource, match=what):
            opened(compound(*names))


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b""}, "OpenDocument"),
        ({"[Content_Types].xml": b"", "xl/workbook.bin": b""}, "a binary workbook"),
        ({"[Content_Types].xml": b"", "xl/workbook.xml": b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"}, "has a DTD"),
        (
            {"[Content_Types].xml": b"", "xl/workbook.xml": b'<x xmlns="http://purl.oclc.org/ooxml/x"/>'},
            "Strict Open XML",
        ),
        ({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<x/>"}, "is damaged"),
    ],
)
def test_should_name_what_a_package_is_that_is_not_read(members: dict[str, bytes], error: str) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UnsupportedSource, match=error) as refused:
        opened(body.getvalue())
    assert refused.value.remedy
