"""The catalog: what tables, views and queries look like, and what is said when they do not exist."""

import json
from typing import Any

import pytest

from flowforge.domain.errors import QueryRefused, UnknownColumn, UnknownTable, UnsupportedSource
from flowforge.sources.sqlserver.catalog import describe_table, expand_pattern, list_tables, preview
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.masking import refuse_masked, told_masks
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.sqlserver.statement import quote_identifier
from tests.helpers.source_server import start_server, stop_server


def test_should_describe_a_bank_table_as_it_was_declared(bank):
    customers = describe_table(bank, "customers")
    assert customers.qualified_name == "dbo.customers"
    assert customers.primary_key == ["customer_id"]
    assert customers.indexed_columns[0] == "customer_id"
    assert customers.row_estimate == 500
    assert len(customers.columns) == 16
    declared = {c.name: (c.sql_type, c.nullable) for c in customers.columns}
    assert declared["customer_id"] == ("int", False)
    assert declared["email"][0] == "nvarchar(100)"
    assert declared["phone"] == ("nvarchar(20)", True)
    assert declared["ssn_last4"][0] == "nchar(4)"
    assert declared["annual_income"] == ("decimal(15,2)", True)
    assert declared["modified_date"][0] == "datetime"
    assert customers.column("customer_id").identity


@pytest.mark.parametrize("written", ["customers", "dbo.customers", "[dbo].[customers]", "CUSTOMERS", "[DBO].Customers"])
def test_should_find_a_table_however_its_name_is_written(bank, written):
    assert describe_table(bank, written).qualified_name == "dbo.customers"


@pytest.mark.parametrize(
    "hostile",
    [
        "customers; DROP TABLE customers",
        "customers' OR '1'='1",
        "../../etc/passwd",
        "dbo.customers--",
        "नमस्ते",
        "a.b.c",
        "[x",
    ],
)
def test_should_treat_a_hostile_name_as_a_name_that_does_not_exist(bank, hostile):
    with pytest.raises(UnknownTable):
        describe_table(bank, hostile)
    assert describe_table(bank, "customers").row_estimate == 500


def test_should_suggest_near_names_for_an_unknown_table(bank):
    with pytest.raises(UnknownTable) as caught:
        describe_table(bank, "custmers")
    assert "dbo.customers" in caught.value.remedy


def test_should_list_the_columns_when_one_is_unknown(bank):
    with pytest.raises(UnknownColumn) as caught:
        describe_table(bank, "accounts").column("balanse")
    assert "balance" in caught.value.remedy and "dbo.accounts" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["with space", "closing ] bracket", "quote ' and \"", "हिन्दी नाम", "per%cent?", "semi;colon -- x"]
)
def test_should_describe_and_preview_tables_and_columns_of_any_name(bank, scratch, name):
    table = scratch(f"{quote_identifier(name)} nvarchar(20) NOT NULL PRIMARY KEY", name)
    bank.run(f"INSERT INTO {table} VALUES (%s)", ("héllo",))
    described = describe_table(bank, table)
    assert described.name == name
    assert described.primary_key == [name]
    assert preview(bank, described, 5) == ([name], [["héllo"]])


def test_should_describe_three_hundred_columns_in_order(bank, scratch):
    names = [f"column_{n:03}" for n in range(300)]
    table = scratch(", ".join(f"{n} int NULL" for n in names))
    assert [c.name for c in describe_table(bank, table).columns] == names


def test_should_keep_a_composite_key_in_key_order(bank, scratch):
    table = scratch("a int NOT NULL, b int NOT NULL, c int, PRIMARY KEY (b, a)")
    assert describe_table(bank, table).primary_key == ["b", "a"]


def test_should_describe_a_table_without_key(bank, scratch):
    assert describe_table(bank, scratch("a int")).primary_key == []


def test_should_know_of_each_column_what_the_catalog_knows(bank, scratch):
    table = scratch(
        "id int IDENTITY PRIMARY KEY, mail nvarchar(50) MASKED WITH (FUNCTION = 'email()') NULL, note nvarchar(20) SPARSE NULL, "
        "state char(1) NOT NULL DEFAULT 'a', code varchar(10) UNIQUE, a int, b int"
    )
    bank.run(f"CREATE UNIQUE INDEX ux ON {table} (a, b)")
    bank.run(f"CREATE INDEX ix ON {table} (b)")
    described = describe_table(bank, table)
    found = {column.name: column for column in described.columns}
    assert [c.column_id for c in described.columns] == [1, 2, 3, 4, 5, 6, 7]
    assert not any(c.masked for c in described.columns)  # this login sees through the mask
    assert [name for name, c in found.items() if c.sparse] == ["note"]
    assert {name: c.default for name, c in found.items() if c.default} == {"state": "('a')"}
    assert found["code"].collation and found["a"].collation is None
    assert sorted(described.unique_keys) == [["a", "b"], ["code"], ["id"]]
    assert described.facts["temporal_type"] == 0


@pytest.fixture(scope="module")
def older(server, tmp_path_factory):
    """A connection to a server of 2014, whose catalog views lack what came later."""
    started = start_server(server.tls_directory, "--release", "2014")
    with connect(started.reference, started.credentials) as connection:
        yield connection
    stop_server(started)


def test_should_describe_a_table_of_a_server_whose_catalog_lacks_what_came_later(older):
    older.run("CREATE TABLE dbo.t (id int PRIMARY KEY, note nvarchar(20) SPARSE NULL DEFAULT 'x')")
    for lacking in ("SELECT is_hidden FROM sys.columns", "SELECT temporal_type FROM sys.tables"):
        with pytest.raises(UnknownColumn):
            older.rows(lacking)
    with pytest.raises(UnknownTable):
        older.rows("SELECT name FROM sys.masked_columns")
    described = describe_table(older, "t")
    assert (described.primary_key, [c.sql_type for c in described.columns]) == (["id"], ["int", "nvarchar(20)"])
    assert described.columns[1].sparse and described.columns[1].default == "('x')"
    assert "temporal_type" not in described.facts


def test_should_describe_a_view(bank, scratch):
    table = scratch("id int NOT NULL PRIMARY KEY, amount decimal(15,2)")
    view = f"v_{describe_table(bank, table).name}"
    bank.run(f"CREATE VIEW dbo.{view} AS SELECT id, amount FROM {table}")
    try:
        described = describe_table(bank, view)
        assert (described.type, [c.sql_type for c in described.columns]) == ("view", ["int", "decimal(15,2)"])
        assert view in [t.name for t in list_tables(bank) if t.type == "view"]
        with pytest.raises(UnknownTable):
            expand_pattern(bank, f"dbo.{view}*")
    finally:
        bank.run(f"DROP VIEW dbo.{view}")


def test_should_list_the_bank_with_its_row_counts(bank):
    listed = {f"{t.schema_name}.{t.name}": t.row_estimate for t in list_tables(bank)}
    assert {k: listed[k] for k in ("dbo.customers", "dbo.accounts", "dbo.transactions")} == {
        "dbo.customers": 500, "dbo.accounts": 750, "dbo.transactions": 5000,
    }  # fmt: skip


def test_should_expand_a_pattern_to_quoted_names_in_order(bank):
    assert expand_pattern(bank, "DBO.cust*") == ["[dbo].[customers]"]
    everything = expand_pattern(bank, "dbo.*")
    assert everything == sorted(everything)
    assert {"[dbo].[accounts]", "[dbo].[customers]", "[dbo].[transactions]"} <= set(everything)


def test_should_take_only_the_star_of_a_pattern_for_a_wildcard(bank, scratch):
    name = describe_table(bank, scratch("a int", "odd [name]?")).name
    assert expand_pattern(bank, "[dbo].[odd [name]]?*]") == [f"[dbo].{quote_identifier(name)}"]
    with pytest.raises(UnknownTable, match="fits"):
        expand_pattern(bank, "dbo.customer?")


def test_should_describe_a_query_without_running_it(bank):
    columns = describe_query(
        bank, "SELECT customer_id, annual_income AS income, COUNT(*) OVER () AS n FROM dbo.customers"
    )
    assert [(c.name, c.sql_type) for c in columns] == [
        ("customer_id", "int"),
        ("income", "decimal(15,2)"),
        ("n", "int"),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT a FROM dbo.nope", UnknownTable),
        ("SELECT nope FROM dbo.customers", UnknownColumn),
        ("SELEC 1", QueryRefused),
        ("SELECT 1 AS a, 2 AS a", UnsupportedSource),
        ("SELECT customer_id + 1 FROM dbo.customers", UnsupportedSource),
    ],
)
def test_should_refuse_a_query_that_cannot_be_loaded(bank, query, expected):
    with pytest.raises(expected) as caught:
        describe_query(bank, query)
    assert caught.value.remedy


def test_should_preview_values_that_json_can_hold(bank, scratch):
    table = scratch(
        "a decimal(15,2), b datetime2(7), c varbinary(4), d uniqueidentifier, e bit, f float, g nvarchar(5), h time(7)"
    )
    bank.run(
        f"INSERT INTO {table} VALUES (12.50, '2024-01-31 10:00:00.1234567', 0x0102, '6F9619FF-8B86-D011-B42D-00C04FC964FF', 1, "
        "0.1, NULL, '12:34:56.1234567')"
    )
    _, rows = preview(bank, describe_table(bank, table), 5)
    assert json.loads(json.dumps(rows)) == [
        [
            "12.50", "2024-01-31T10:00:00.123456", "0x0102", "6f9619ff-8b86-d011-b42d-00c04fc964ff", True, 0.1, None,
            "12:34:56.1234567",
        ]
    ]  # fmt: skip


def test_should_preview_no_more_rows_than_asked(bank):
    customers = describe_table(bank, "customers")
    assert len(preview(bank, customers, 3)[1]) == 3
    assert preview(bank, customers, 0)[1] == []


class Computing(SourceConnection):
    """The same connection, of a login that sees masks, to a table with computed columns: the stand-in knows none. `shown` are the
    definitions that the catalog shows, None for one that this login may not see."""

    def __init__(self, seeing: SourceConnection, shown: dict[str, str | None]):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)
        self.shown = shown

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        if "sys.computed_columns" in str(sql):
            return [{"name": name, "definition": text} for name, text in self.shown.items()]
        if "c.is_masked = 1" in str(sql):
            mask = {"schema_name": "dbo", "object_name": "t", "column_name": "e]Mail"}
            return [{**mask, "on_column": None, "on_database": 0}]
        found = super().rows(sql, params, about)
        return [row | {"is_computed": row["name"] in self.shown} for row in found] if "sys.types" in str(sql) else found


def test_should_take_a_computed_column_for_masked_that_depends_on_one(bank, scratch):
    """The server returns masks of it, though sys.columns says nothing; as a key it would make one row of many."""
    table = scratch(
        "id int NOT NULL PRIMARY KEY, [e]]Mail] nvarchar(50) MASKED WITH (FUNCTION = 'email()'), upper_mail nvarchar(50), "
        "twice int, unknown int, plain int"
    )
    shown = {"upper_mail": "(upper([e]]mail]))", "twice": "([id]*(2))", "unknown": None}
    described = describe_table(Computing(bank, shown), table)
    assert [c.name for c in described.columns if c.masked] == ["e]Mail", "upper_mail", "unknown"]
    with pytest.raises(UnsupportedSource, match="upper_mail is masked for this login, and is a key"):
        refuse_masked(described, ["upper_mail"], [])
    assert "e]Mail, upper_mail, unknown; GRANT UNMASK" in told_masks(described)[0]


class Ledger(SourceConnection):
    """The same connection, to a ledger table of which a column was dropped: the stand-in knows none."""

    def __init__(self, seeing: SourceConnection):
        super().__init__(seeing._connection, seeing.reference, seeing._credentials, seeing._limit)

    def rows(self, sql: Any, params: Any = (), about: str = "") -> list[dict[str, Any]]:
        found = super().rows(sql, params, about)
        if "sys.types" not in str(sql):
            return found
        return [row | {"is_dropped_ledger_column": row["name"].startswith("MSSQL_Dropped")} for row in found]


def test_should_leave_out_what_was_dropped_from_a_ledger(bank, scratch):
    """The server keeps it under a name of its own, and `SELECT *` does not show it."""
    table = scratch("id int NOT NULL PRIMARY KEY, MSSQL_DroppedLedgerColumn_pay_6391BEEC money, note nvarchar(20)")
    scratch("id int NOT NULL PRIMARY KEY", "MSSQL_DroppedLedgerTable_payouts_6391BEEC")
    assert [column.name for column in describe_table(Ledger(bank), table).columns] == ["id", "note"]
    assert not [one for one in [t.name for t in list_tables(bank)] if "Dropped" in one]
    assert not [one for one in expand_pattern(bank, "dbo.*") if "Dropped" in one]
