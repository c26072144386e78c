"""Query text as text: what is sent for a table, a query and an interval."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.domain.given import given as present
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.description import CatalogColumn, TableDescription
from flowforge.sources.sqlserver.keys import key_value
from flowforge.sources.sqlserver.sql_text import (
    count_statement,
    is_empty_statement,
    newest_statement,
    normalise_statement,
    packed_statement,
    select_statement,
    shift_statement,
)
from flowforge.sources.sqlserver.statement import parametrised, quote_identifier, quote_literal

IDENTIFIERS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=128)


def table(*columns, schema="dbo", name="customers"):
    described = [CatalogColumn(name=n, sql_type=t) for n, t in columns]
    return TableDescription(schema_name=schema, name=name, object_id=1, columns=described)


def read_identifier(text):
    """The name that T-SQL reads from the bracketed identifier at the start of a text, and the rest."""
    match = re.match(r"\[((?:[^\]]|\]\])*)\](?!\])", text, re.DOTALL)
    return present(match)[1].replace("]]", "]"), text[present(match).end() :]


@given(IDENTIFIERS)
def test_should_read_every_quoted_identifier_back_as_itself_with_nothing_left_over(name):
    assert read_identifier(quote_identifier(name)) == (name, "")


@given(IDENTIFIERS, IDENTIFIERS, IDENTIFIERS)
def test_should_keep_hostile_names_inside_their_brackets(schema, name, column):
    description = table((column, "int"), schema=schema, name=name)
    text = select_statement(description, description.columns, Interval()).text
    read, rest = read_identifier(text.removeprefix("SELECT "))
    in_schema, rest = read_identifier(rest.removeprefix(" FROM "))
    in_table, rest = read_identifier(rest.removeprefix("."))
    assert (in_schema, in_table, read, rest) == (schema, name, column, "")


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 129])
def test_should_refuse_what_can_never_be_an_identifier(name):
    with pytest.raises(ValueError, match="cannot be an identifier"):
        quote_identifier(name)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_should_keep_a_text_literal_whole_as_t_sql_reads_it(value):
    pieces = re.findall(r"N'((?:[^']|'')*)'", quote_literal(value), re.DOTALL)
    rebuilt = re.sub(r"N'(?:[^']|'')*'", "", quote_literal(value), flags=re.DOTALL)
    assert "".join(p.replace("''", "'") for p in pieces) == value
    assert rebuilt in ("", "( + )", "()") or set(rebuilt) <= set("( +)")
    # T-SQL joins lines at a backslash before a line break inside a literal.
    assert not any(re.search(r"\\[\r\n]", p) for p in pieces)


def test_should_write_null_and_numbers_as_they_are():
    assert (quote_literal(None), quote_literal(5), quote_literal(-7)) == ("NULL", "5", "-7")


def test_should_select_all_rows_for_a_full_load():
    description = table(("id", "int"), ("weird ]name", "nvarchar(50)"))
    statement = select_statement(description, description.columns, Interval())
    assert statement.text == "SELECT [id], [weird ]]name] FROM [dbo].[customers]"
    assert statement.parameters == ()


def test_should_bind_both_bounds_half_open_in_the_columns_own_type():
    interval = Interval(
        column="at", sql_type="datetime2(3)", low="2024-01-01 00:00:00.000", high="2024-02-01 00:00:00.000"
    )
    statement = select_statement(
        table(("at", "datetime2(3)")), [SourceColumn(name="at", sql_type="datetime2(3)")], interval
    )
    assert statement.text == (
        "SELECT [at] FROM [dbo].[customers] WHERE ([at] >= CONVERT(datetime2(3), ?, 121) "
        "AND [at] < CONVERT(datetime2(3), ?, 121)) OR [at] IS NULL"
    )
    assert statement.parameters == ("2024-01-01 00:00:00.000", "2024-02-01 00:00:00.000")


@pytest.mark.parametrize(
    ("sql_type", "literal", "bound"),
    [
        ("date", "2024-01-31", "CONVERT(date, ?, 23)"),
        ("smalldatetime", "2024-01-31 10:00:00", "CONVERT(smalldatetime, ?, 120)"),
        ("datetime", "2024-01-31 10:00:00.003", "CONVERT(datetime, ?, 121)"),
        ("datetimeoffset(7)", "2024-01-31 10:00:00.1234567 +00:00", "CONVERT(datetimeoffset(7), ?, 121)"),
        ("rowversion", "0x00000000000007D1", "CONVERT(binary(8), ?, 1)"),
        ("int", "2147483647", "CONVERT(int, ?)"),
        ("int", "2147483648", "CONVERT(bigint, ?)"),
        ("bigint", "9223372036854775808", "CONVERT(decimal(20,0), ?)"),
        ("tinyint", "256", "CONVERT(bigint, ?)"),
        ("decimal(18,0)", "999999999999999999", "CONVERT(decimal(18,0), ?)"),
        ("decimal(18,0)", "1000000000000000000", "CONVERT(decimal(19,0), ?)"),
    ],
)
def test_should_convert_a_bound_on_the_server_and_widen_it_only_when_it_does_not_fit(sql_type, literal, bound):
    interval = Interval(column="c", sql_type=sql_type, high=literal, nulls=False)
    statement = select_statement(table(("c", sql_type)), [SourceColumn(name="c", sql_type=sql_type)], interval)
    assert statement.text == f"SELECT [c] FROM [dbo].[customers] WHERE [c] < {bound}"
    assert statement.parameters == (literal,)


@pytest.mark.parametrize(("nulls", "where"), [(True, ""), (False, " WHERE [c] IS NOT NULL")])
def test_should_leave_null_cursors_out_only_when_asked_in_an_open_interval(nulls, where):
    interval = Interval(column="c", sql_type="int", nulls=nulls)
    assert count_statement(table(("c", "int")), interval).text == (
        f"SELECT COUNT_BIG(*) AS source_rows FROM [dbo].[customers]{where}"
    )


def test_should_read_types_without_a_safe_wire_form_through_a_conversion():
    columns = [
        ("t", "time(7)"),
        ("h", "hierarchyid"),
        ("g", "geometry"),
        ("x", "xml"),
        ("i", "image"),
    ]
    description = table(*columns, ("u", "time(6)"))
    assert select_statement(description, description.columns, Interval()).text == (
        "SELECT CONVERT(varchar(16), [t], 121) AS [t], [h].ToString() AS [h], "
        "[g].AsBinaryZM() AS [g], CONVERT(nvarchar(max), [x]) AS [x], CONVERT(varbinary(max), [i]) AS [i], [u] "
        "FROM [dbo].[customers]"
    )


def test_should_send_a_full_query_as_written_so_that_it_may_start_with_a_common_table_expression():
    query = "WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a; "
    statement = select_statement(query, [SourceColumn(name="a", sql_type="int")], Interval())
    assert statement.text == "WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a"


def test_should_close_a_querys_last_comment_before_adding_a_bound():
    interval = Interval(column="a", sql_type="int", low="5", nulls=False)
    statement = select_statement("SELECT a FROM t -- all of it", [SourceColumn(name="a", sql_type="int")], interval)
    assert statement.text == "SELECT [a] FROM (\nSELECT a FROM t\n) AS q WHERE [a] >= CONVERT(int, ?)"


def test_should_inline_the_same_values_that_the_marked_text_binds():
    interval = Interval(column="a%s", sql_type="int", low="5", nulls=False)
    statement = select_statement(table(("a%s", "int")), [SourceColumn(name="a%s", sql_type="int")], interval)
    assert statement.inlined() == "SELECT [a%s] FROM [dbo].[customers] WHERE [a%s] >= CONVERT(int, N'5')"


def test_should_refuse_text_whose_markers_and_parameters_differ_in_number():
    with pytest.raises(ValueError, match="1 markers for 2 parameters"):
        parametrised("SELECT %s", ("a", "b"))


def test_should_print_the_newest_cursor_at_the_columns_own_scale():
    assert newest_statement(table(("at", "datetime2(7)")), "at", "datetime2(7)").text == (
        "SELECT CONVERT(varchar(27), MAX([at]), 121) AS literal FROM [dbo].[customers]"
    )
    assert newest_statement(table(("v", "rowversion")), "v", "rowversion").text == (
        "SELECT CONVERT(varchar(18), CONVERT(binary(8), MAX([v])), 1) AS literal FROM [dbo].[customers]"
    )


def test_should_let_the_server_compare_bounds_in_a_type_that_holds_both():
    statement = is_empty_statement("5", "2147483648", "int")
    assert statement.text == ("SELECT CASE WHEN CONVERT(bigint, ?) <= CONVERT(int, ?) THEN 1 ELSE 0 END AS is_empty")
    assert statement.parameters == ("2147483648", "5")


def test_should_shift_by_seconds_and_milliseconds_apart_since_dateadd_takes_an_int():
    statement = shift_statement("2026-11-23 06:00:00.1234567", -3_000_000_001)
    assert statement.text == (
        "SELECT CONVERT(varchar(27), DATEADD(millisecond, -1, DATEADD(second, -3000000, "
        "CONVERT(datetime2(7), ?, 121))), 121) AS literal"
    )


def test_should_print_a_bound_back_and_bring_offsets_to_utc():
    assert normalise_statement("2024-01-31 10:00:00.000", "datetime").text == (
        "SELECT CONVERT(varchar(23), v.converted, 121) AS literal FROM "
        "(SELECT CONVERT(datetime, ?, 121) AS converted) AS v"
    )
    assert normalise_statement("2024-01-31 10:00:00 +02:00", "datetimeoffset(0)").text == (
        "SELECT CONVERT(varchar(26), v.converted, 121) AS literal FROM "
        "(SELECT SWITCHOFFSET(CONVERT(datetimeoffset(0), ?, 121), '+00:00') AS converted) AS v"
    )


def test_should_pack_what_prints_exactly_into_lines_and_leave_the_rest_in_cells_of_its_own():
    description = table(
        ("id", "int"), ("rate", "float"), ("name", "nvarchar(50)"), ("doc", "nvarchar(max)"), ("fee", "money"),
        ("at", "datetimeoffset(7)"),
    )  # fmt: skip
    statement, cells = packed_statement(description, description.columns, Interval())
    assert cells == [(0, 2, 4, 5), (1,), (3,)]
    assert statement.text == (
        "SELECT CONCAT(CONVERT(varchar(11), [id]), N',', "
        "N'\"' + REPLACE(CONVERT(nvarchar(50), [name]) COLLATE Latin1_General_BIN2, N'\"', N'\"\"') + N'\"', N',', "
        "CONVERT(varchar(21), [fee], 2), N',', "
        "CONVERT(varchar(26), SWITCHOFFSET([at], '+00:00'), 121)) AS _flowforge_line, [rate], [doc] FROM [dbo].[customers]"
    )


def test_should_begin_a_line_where_one_could_grow_too_long():
    wide = table(*((f"c{n}", "nvarchar(900)") for n in range(5)))
    _, cells = packed_statement(wide, wide.columns, Interval())
    assert cells == [(0, 1), (2, 3), (4,)]
    many = table(*((f"c{n}", "bit") for n in range(250)))
    _, cells = packed_statement(many, many.columns, Interval())
    assert [len(cell) for cell in cells] == [120, 120, 10]


def test_should_send_a_query_as_it_was_written_to_either_driver():
    query = "WITH t AS (SELECT 1 AS a) SELECT a FROM t ORDER BY a"
    statement, cells = packed_statement(query, [SourceColumn(name="a", sql_type="int")], Interval())
    assert (statement.text, cells) == (query, [(0,)])


def test_should_turn_a_key_back_through_the_code_page_of_its_column():
    column = SourceColumn(name="k", sql_type="varchar(20)", collation="Cyrillic_General_CI_AS")
    assert key_value(column, "Ж").inlined() == "CONVERT(varchar(20), N'Ж' COLLATE Cyrillic_General_CI_AS)"
    assert key_value(column.model_copy(update={"collation": "x; DROP"}), "Ж").inlined() == "CONVERT(varchar(20), N'Ж')"
