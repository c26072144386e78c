"""Workbooks: values as the file has them; errors, formulas without a value and far cells are rejects with their address."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from events.files import FileColumn
from flowforge.domain.errors import UnsupportedSource
from tests.helpers.workbooks import column, edited, opened, read, saved

STRINGS = "xl/sharedStrings.xml"


def test_should_keep_numbers_texts_and_truth_as_the_file_has_them() -> None:
    body = edited(
        saved(["id", "zip", "n", "x", "ok", "none"], ["1234567890123456789", "00123", 0, 0.1, True, None]),
        lambda text: text.replace('<c r="C2" t="n"><v>0</v>', '<c r="C2"><v>1.10</v>'),
    )

    rows, _, _ = read(body)

    assert rows == [["1234567890123456789", "00123", "1.10", "0.1", "true", None, 1]]
    kinds = ["bigint", "text", "decimal(5,2)", "double", "boolean", "bigint"]
    columns = [column(name, kind) for name, kind in zip(["id", "zip", "n", "x", "ok", "none"], kinds, strict=True)]
    assert read(body, *columns)[0] == [[1234567890123456789, "00123", Decimal("1.10"), 0.1, True, None, 1]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_should_count_the_rows_that_there_are_in_each_encoding_of_xml(encoding: str) -> None:
    hidden = '<row r="9"><c r="A9"><v>9</v></c></row>'
    cell = '<is><t><![CDATA[x><row r="8"><c r="A8"><v>8</v></c></row>]]></t></is>'
    body = edited(
        saved(["a", "b"], ["é", 2], ["z", 4]),
        lambda text: (
            text.replace("<sheetData>", f"<!-- > {hidden} {'x' * 2**20}> --><sheetData>")
            .replace('<c r="B3" t="n"><v>4</v>', f'<c r="B3" t="inlineStr">{cell}')
            .replace("</sheetData>", f"<!--{hidden}--></sheetData>")
        ),
        encoding=encoding,
    )
    assert read(body)[0] == [["é", "2", 1], ["z", 'x><row r="8"><c r="A8"><v>8</v></c></row>', 2]]


@pytest.mark.parametrize("epoch", [None, MAC_EPOCH])
def test_should_read_dates_of_both_epochs(epoch: datetime | None) -> None:
    body = saved(["d", "t"], [date(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59)], epoch=epoch)

    assert read(body)[0] == [["2024-02-29", "2024-02-29 23:59:59", 1]]
    rows, _, _ = read(body, column("d", "timestamp"), column("t", "timestamp"))
    assert rows == [[datetime(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59), 1]]


def test_should_reject_days_that_excel_alone_has() -> None:
    body = edited(
        saved(["d"], [date(2024, 1, 1)], [date(1900, 1, 1)], [date(2024, 1, 2)]),
        lambda text: text.replace("<v>45292</v>", "<v>60</v>").replace("<v>45293</v>", "<v>-1</v>"),
    )

    rows, rejected, _ = read(body, column("d", "date"))

    assert rows == [[date(1900, 1, 1), 2]]
    assert [bad.reason for bad in rejected] == [
        f"cell A{line} is formatted as a date, and its number is no day" for line in (2, 4)
    ]


def test_should_reject_errors_and_formulas_without_a_value_by_their_address() -> None:
    body = edited(
        saved(["a", "b"], ["=1+1", 1], [2, "#N/A"], [3, 4], [5, 6]),
        lambda text: text.replace('<c r="B4" t="n"><v>4</v>', '<c r="B4"><f>2+2</f><v>4</v>'),
    )

    rows, rejected, _ = read(body)

    assert rows == [["3", "4", 3], ["5", "6", 4]]
    assert [(bad.line, bad.column) for bad in rejected] == [(2, "a"), (3, "b")]
    assert "cell A2 is a formula without a value" in rejected[0].reason
    assert rejected[1].reason == "cell B3 is the error #N/A"


def test_should_take_truth_as_it_is_written_and_reject_what_is_none_and_a_type_that_there_is_not() -> None:
    kinds = iter(['t="b"><v>true<', 't="b"><v>0<', 't="b"><v>7<', 't="z"><v>7<'])
    body = edited(saved(["a"], [1], [2], [3], [4]), lambda text: re.sub(r't="n"><v>\d<', lambda one: next(kinds), text))

    rows, rejected, _ = read(body)

    assert [row[0] for row in rows] == ["true", "false"]
    assert [bad.reason for bad in rejected] == [
        "cell A4 is a truth value that is neither true nor false",
        "cell A5 has the type 'z', which there is not",
    ]


def test_should_reject_a_row_that_has_a_cell_twice_and_lose_no_value() -> None:
    body = edited(saved(["a", "b"], [1, 2], [3, 4]), lambda text: text.replace('r="B2"', 'r="A2"'))

    rows, rejected, _ = read(body)

    assert rows == [["3", "4", 2]]
    assert [(bad.line, bad.column, bad.reason) for bad in rejected] == [(2, "a", "cell A2 is there twice")]


def test_should_reject_a_cell_in_the_farthest_corner_and_fill_nothing() -> None:
    def far(book: Any) -> None:
        book.active["XFD1048576"] = "x"

    rows, rejected, _ = read(saved(["a"], [1], change=far))

    assert rows == [["1", 1]]
    assert [(bad.row_number, bad.line, bad.reason) for bad in rejected] == [
        (2, 1_048_576, "cell XFD1048576 stands beside the columns")
    ]


def test_should_read_a_range_of_a_sheet_without_its_footer() -> None:
    def second(book: Any) -> None:
        book.create_sheet("Mai")
        for row in [["Title"], [None, "a", "b", "note"], [None, 1, None], [None], [None, "NULL", ""], [None, "sum", 9]]:
            book["Mai"].append(row)

    body = saved(["other"], change=second)

    rows, _, _ = read(body, sheet="Mai", cell_range="B2:C99", skip_footer_rows=1, null_words=["NULL"])
    assert rows == [["1", None, 1], [None, None, 2]]
    with pytest.raises(UnsupportedSource, match="has 2 sheets") as found:
        opened(body)
    assert "Sheet, Mai" in found.value.with_remedy
    with pytest.raises(UnsupportedSource, match="no sheet 'June'"):
        opened(body, sheet="June")


def test_should_name_columns_by_place_without_a_header() -> None:
    assert read(saved(["x", 1], ["y", 2]), header=False)[0] == [["x", "1", 1], ["y", "2", 2]]
    one = FileColumn(name="n", field="2", type="double", decimal_comma=True)
    rows = read(saved(["x", 1.5]), FileColumn(name="a", field="1"), one, header=False)[0]
    assert rows == [["x", 1.5, 1]]


def test_should_tell_macros_and_merged_cells() -> None:
    def merge(book: Any) -> None:
        book.active.merge_cells("A2:A3")

    body = edited(saved(["a", "b"], [1, 2], [None, 3], change=merge), more={"xl/vbaProject.bin": b"\x00"})

    rows, _, notes = read(body)

    assert rows == [["1", "2", 1], [None, "3", 2]]
    assert notes == [
        "it has macros: they are ignored",
        "1 ranges are merged: the first cell of each has its value, the others are empty",
    ]


def test_should_give_a_number_as_it_is_shown_and_not_as_a_double_is_kept() -> None:
    kept = ["1.1000000000000001", "1E-3", "1.5E+300", "-2.5E2", "1234567890123456789", "1.0"]
    body = edited(
        saved(["n"], *([place] for place in range(1000, 1000 + len(kept)))),
        lambda text: re.sub(r"<v>10(\d\d)</v>", lambda one: f"<v>{kept[int(one[1])]}</v>", text),
    )

    assert [row[0] for row in read(body)[0]] == ["1.1", "0.001", "1.5E+300", "-250", "1234567890123456789", "1.0"]


def test_should_read_escaped_characters_and_runs_of_shared_texts() -> None:
    items = "<si><t>a_x000D_\nb</t></si><si><r><t>run</t></r><r><t> on</t></r><rPh><t>x</t></rPh></si>"
    items += "<si><t>_x005F_x000D_</t></si><si><t>_xD83D__xDE00_</t></si><si><t>_x0000_</t></si>"
    shared = f'<sst xmlns="{SHEET_MAIN_NS}"><si><t>h</t></si>{items}</sst>'
    body = edited(
        saved(["h"], *([place] for place in range(1001, 1006))),
        lambda text: re.sub(r'(r="A\d") t="n"><v>100', r'\1 t="s"><v>', text),
        more={STRINGS: shared.encode()},
        types=f'<Override PartName="/{STRINGS}" ContentType="{SHARED_STRINGS}"/>',
    )

    rows, rejected, _ = read(body)

    assert [row[0] for row in rows] == ["a\r\nb", "run on", "_x000D_", "\U0001f600"]
    assert [bad.reason for bad in rejected] == ["cell A6 has a NUL character"]
