"""`flowforge test-connection`, `tables` and `describe`: whose SQL Server, and what is shown of it."""

import json

TRY, TABLES, SCHEMA = (
    "POST /api/test-connection/database",
    "POST /api/database/tables",
    "POST /api/database/schema",
)
DESCRIBED = {
    "schema": "dbo",
    "name": "customers",
    "object_id": 1,
    "row_estimate": 500,
    "primary_key": ["customer_id"],
    "columns": [
        {
            "name": "customer_id",
            "sql_type": "int",
            "nullable": False,
            "arrow_type": "int32",
            "primary_key": True,
            "identity": True,
        },
        {
            "name": "[red]city",
            "sql_type": "nvarchar(50)",
            "nullable": True,
            "arrow_type": "string",
            "primary_key": False,
            "identity": False,
        },
    ],
    "cursor_candidates": [{"column": "modified_date", "sql_type": "datetime", "kind": "timestamp", "indexed": False}],
    "preview": {"columns": ["customer_id", "[red]city"], "rows": [[1, "Zürich \x1b[31m"], [2, None]]},
}


def test_should_exit_by_whether_the_login_worked(flowforge, api, stack_file):
    stack = stack_file()
    api.answer(TRY, {"status": "success", "server_version": "16.0", "tables": 3})
    assert flowforge("test-connection").code == 0
    api.answer(TRY, {"status": "failed", "error": "LoginRefused", "message": "no", "remedy": "check the password"})
    refused = flowforge("test-connection", "--json")

    assert (refused.code, refused.document["error"]) == (1, "LoginRefused")
    assert api.asked[0].document == {"connection": stack["sqlserver"]}


def test_should_ask_about_a_saved_connection(flowforge, api):
    api.answer(TABLES, {"tables": [{"schema": "dbo", "name": "customers", "type": "table", "row_estimate": 500}]})

    ended = flowforge("tables", "--connection", "bank")

    assert ended.code == 0
    assert "customers" in ended.out
    assert api.asked[0].document == {"connection": {"connectionId": "bank"}}


def test_should_take_the_connection_out_of_a_request(flowforge, api):
    api.answer(TABLES, {"tables": []})
    (flowforge.folder / "r.json").write_text(json.dumps({"source_config": {"connection": {"host": "h"}}}))

    assert flowforge("tables", "--request", "r.json").code == 0
    assert api.asked[0].document == {"connection": {"host": "h"}}


def test_should_take_a_password_from_the_environment_or_stdin_and_no_option(flowforge, api):
    api.answer(TABLES, {"tables": []})
    named = ("tables", "--host", "h", "--port", "1500", "--database", "d", "--username", "u")

    flowforge(*named, env={"FLOWFORGE_PASSWORD": "from-env"})
    flowforge(*named, "--password-stdin", stdin="from-stdin\n")
    without = flowforge(*named)

    assert [asked.document["connection"]["password"] for asked in api.asked] == ["from-env", "from-stdin"]
    assert without.code == 2
    assert flowforge(*named, "--password", "x").code == 2


def test_should_not_offer_the_local_stacks_password_to_another_api(flowforge, api, stack_file):
    stack_file(api="http://127.0.0.1:1")

    ended = flowforge("tables")

    assert ended.code == 2
    assert [(asked.method, asked.body) for asked in api.asked] == [("GET", b"")]


def test_should_ask_which_server_when_the_stack_has_none(flowforge, stack_file):
    stack_file(sqlserver=None)

    assert "--host" in flowforge("tables").err


def test_should_describe_a_table_and_show_foreign_text_as_text(flowforge, api, stack_file):
    stack_file()
    api.answer(SCHEMA, DESCRIBED)

    plain, as_json = flowforge("describe", "customers", "--preview", "2"), flowforge("describe", "customers", "--json")

    assert plain.code == 0
    assert all(
        word in plain.out for word in ("[red]city", "nvarchar(50)", "int32", "Zürich", "modified_date (timestamp)")
    )
    assert "\x1b" not in plain.out
    assert as_json.document == DESCRIBED | {"server": as_json.document["server"]}
    asked = next(one for one in api.asked if one.method == "POST").document
    assert (asked["table"], asked["preview"]) == ("customers", 2)


def test_should_tell_the_apis_refusal_and_remedy(flowforge, api, stack_file):
    stack_file()
    api.answer(SCHEMA, {"error": "UnknownTable", "message": "no table x", "remedy": "look at `tables`"}, 404)

    ended = flowforge("describe", "x")

    assert (ended.code, ended.out) == (1, "")
    assert "no table x" in ended.err
    assert "look at `tables`" in ended.err


LOADED = {"host": "db.bank.example", "port": 1444, "database": "Bank", "secretId": "flowforge/connections/bank"}


def test_should_describe_a_table_at_the_server_that_it_was_loaded_from(flowforge, api, stack_file):
    stack_file()
    api.answer("GET /api/watermarks/customers", {"bronze_table": "bronze_customers", "connection": LOADED})
    api.answer(SCHEMA, DESCRIBED)
    plain, as_json = flowforge("describe", "customers"), flowforge("describe", "customers", "--json")
    assert [one.document["connection"] for one in api.asked if one.method == "POST"] == [LOADED, LOADED]
    assert "db.bank.example:1444/Bank" in plain.out
    assert as_json.document["server"] == "db.bank.example:1444/Bank"


def test_should_list_the_tables_of_the_only_server_that_was_loaded_from_and_ask_where_there_are_two(
    flowforge, api, stack_file
):
    stack_file()
    mark = {"id": "abc", "source_key": "db.bank.example:1444/Bank/dbo.customers>bronze_customers"}
    api.answer("GET /api/watermarks", {"watermarks": [mark]})
    api.answer("GET /api/watermarks/abc", {"bronze_table": "bronze_customers", "connection": LOADED})
    api.answer(TABLES, {"tables": [{"schema": "dbo", "name": "customers", "type": "table", "row_estimate": 500}]})
    ended = flowforge("tables")
    assert "db.bank.example:1444/Bank" in ended.out
    assert api.asked[-1].document == {"connection": LOADED}
    other = {"id": "def", "source_key": "other.example:1433/Ledger/dbo.accounts>bronze_accounts"}
    api.answer("GET /api/watermarks", {"watermarks": [mark, other]})
    refused = flowforge("tables", "--json")
    assert refused.code == 2
    assert "other.example:1433/Ledger" in refused.document["message"] and "--connection" in refused.document["remedy"]


def test_should_print_what_switches_change_tracking_on(flowforge, api, stack_file):
    stack_file()
    statement = "ALTER TABLE [dbo].[customers] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)"
    told = {"on": False, "retention": None, "tables": None, "statements": [statement], "problem": None}
    api.answer(SCHEMA, DESCRIBED | {"change_tracking": told})
    ended = flowforge("describe", "customers", "--connection", "bank")
    assert "change tracking" in ended.out and f"{statement};" in ended.out
    api.answer(
        TRY, {"status": "success", "change_tracking": told | {"on": True, "retention": "7 days", "statements": []}}
    )
    assert "on, changes are kept for 7 days" in flowforge("test-connection").out
