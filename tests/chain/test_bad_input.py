"""Input that is wrong or unusual: a clear error or the right result, siblings unharmed, the run's status tells."""

import copy

import pytest

from tests.helpers.stack import own


def failed(stack, config: dict, **destination) -> dict:
    """Runs a request that must fail; returns its error."""
    run = stack.run(stack.request(config, **destination))
    (table,) = run["tables"]
    assert (run["status"], table["status"]) == ("failed", "failed"), table
    error = table["error"]
    assert error["remedy"], error
    assert "FlowForge2024!" not in str(run)
    return error


def test_should_name_an_unknown_table_and_load_its_siblings(stack, name):
    entries = [
        {"tableName": "customers", "destination_config": own(name)},
        {"tableName": "custmers", "destination_config": own(f"{name}_x")},
    ]
    run = stack.run(stack.request({"tables": entries}))
    assert run["status"] == "failed"
    by_source = {t["table"]: t for t in run["tables"]}
    assert by_source[f"bronze_{name}"]["status"] == "published"
    error = by_source[f"bronze_{name}_x"]["error"]
    assert error["error"] == "UnknownTable"
    assert "custmers" in error["cause"]
    assert "customers" in error["cause"] + error["remedy"]


def test_should_name_a_delta_column_that_the_table_lacks(stack, name):
    error = failed(stack, {"tableName": "customers", "isIncremental": True, "deltaColumn": "changed"}, **own(name))
    assert error["error"] == "UnknownColumn"
    assert "changed" in error["cause"]
    assert "modified_date" in error["cause"] + error["remedy"]


def test_should_refuse_a_delta_column_that_cannot_bound_a_load(stack, name):
    error = failed(stack, {"tableName": "customers", "isIncremental": True, "deltaColumn": "last_name"}, **own(name))
    assert error["error"] == "UnsupportedSource"
    assert "last_name" in error["cause"]


def test_should_refuse_a_seed_that_is_not_of_the_columns_type(stack, name):
    config = {"tableName": "customers", "isIncremental": True, "deltaColumn": "modified_date", "lastWatermark": "soon"}
    error = failed(stack, config, **own(name))
    assert "lastWatermark" in error["cause"] + error["remedy"]


@pytest.mark.parametrize(
    "table",
    [
        "customers; DROP TABLE accounts",
        "x' OR '1'='1",
        "customers--",
        "[customers]; DELETE FROM accounts",
        "../../etc/passwd",
        "a/b",
    ],
)
def test_should_treat_sql_or_a_path_in_a_table_name_as_a_name(stack, name, table):
    document = stack.request({"tableName": table}, **own(name))
    answer = stack.post(document)
    if answer.status_code == 202:
        (status,) = stack.finished(answer.json()["run_id"])["tables"]
        assert status["error"]["error"] == "UnknownTable"
    else:
        assert answer.status_code == 400
        assert answer.json()["mistakes"][0]["field"].endswith("tableName")
    assert stack.ask("SELECT COUNT(*) FROM accounts") == [(750,)]


@pytest.mark.parametrize("field", ["bronzeConfig", "silverConfig", "goldConfig"])
@pytest.mark.parametrize("target", ["../secrets", "a/b", "", "a b"])
def test_should_refuse_a_destination_that_is_a_path(stack, field, target):
    answer = stack.post(stack.request({"tableName": "customers"}, **{field: {"tableName": target}}))
    assert answer.status_code == 400
    assert answer.json()["mistakes"][0]["field"] == f"destination_config.{field}.tableName"


def test_should_refuse_a_batch_id_that_is_a_path(stack):
    document = stack.request({"tableName": "customers"}) | {"batch_id": "../x"}
    assert stack.post(document).json()["mistakes"][0]["field"] == "batch_id"


def test_should_say_which_host_cannot_be_reached(stack, name):
    document = stack.request({"tableName": "customers"}, **own(name))
    document["source_config"]["connection"] |= {"host": "127.0.0.1", "port": 1}
    (table,) = stack.run(document)["tables"]
    assert (table["error"]["error"], table["error"]["attempts"]) == ("SourceUnavailable", 2)
    assert "127.0.0.1" in table["error"]["cause"]


@pytest.mark.parametrize(("field", "value"), [("password", "wrong"), ("database", "nowhere"), ("username", "nobody")])
def test_should_say_that_the_login_was_refused(stack, name, field, value):
    document = stack.request({"tableName": "customers"}, **own(name))
    document["source_config"]["connection"][field] = value
    (table,) = stack.run(document)["tables"]
    assert (table["error"]["error"], table["error"]["attempts"]) == ("LoginRefused", 1)
    tested = stack.http.post("/api/test-connection/database", json=document).json()
    assert (tested["status"], tested["error"]) == ("failed", "LoginRefused")
    assert "wrong" not in str(table) + str(tested)


def test_should_not_let_a_wrong_password_spoil_another_run_of_the_same_login(stack, name):
    good = stack.request({"tableName": "accounts"}, **own(name))
    bad = copy.deepcopy(good)
    bad["source_config"]["connection"]["password"] = "wrong"
    run_ids = [stack.post(document).json()["run_id"] for document in (good, bad, good)]
    assert [stack.finished(run_id)["status"] for run_id in run_ids] == ["succeeded", "failed", "succeeded"]


def test_should_refuse_a_query_that_the_server_refuses(stack, name):
    destination = own(name)
    error = failed(stack, {"query": "SELECT nothing FROM nowhere"}, **destination)
    assert error["step"] == "ingest"
    assert "nowhere" in error["cause"]


def test_should_load_a_table_without_a_key_once_however_often_it_is_loaded(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (a int, b nvarchar(10))", f"INSERT INTO {name} VALUES (1, N'x'), (1, N'x'), (NULL, NULL)"
    )
    first, second = stack.load({"tableName": name}), stack.load({"tableName": name})
    assert (first["status"], first["silver_rows"], second["silver_rows"]) == ("published", 3, 3)


def test_should_show_an_empty_table_as_empty(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    table = stack.load({"tableName": name})
    assert (table["status"], table["records"], table["bronze_key"]) == ("empty", 0, None)


def test_should_keep_what_silver_holds_when_a_refresh_reads_nothing_unless_asked(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1), (2)")
    refresh = {"bronzeConfig": {"loadStrategy": "full_refresh"}}
    assert stack.load({"tableName": name}, **refresh)["silver_rows"] == 2
    stack.execute(f"DELETE FROM {name} WHERE id = 1")
    assert stack.load({"tableName": name}, **refresh)["silver_rows"] == 1
    stack.execute(f"DELETE FROM {name}")
    kept = stack.load({"tableName": name}, **refresh)
    assert (kept["status"], "kept" in kept["reason"]) == ("empty", True)
    assert stack.lake(f"SELECT id FROM silver.{name}") == [(2,)]
    emptied = stack.load({"tableName": name, "allowEmptyRefresh": True}, **refresh)
    assert (emptied["status"], emptied["silver_rows"]) == ("published", 0)
    assert stack.lake(f"SELECT id FROM gold.{name}") == []


ODD = ["order details", "a]b", "it's", 'say "hi"', "客户 表", "Ünïcödé", "100% [sure]", "semi;colon", "tab--x"]


def test_should_load_tables_and_columns_whatever_their_names(stack, name):
    stack.execute(f"CREATE SCHEMA {name}")
    quoted = [f"[{name}].[{odd.replace(']', ']]')}]" for odd in ODD]
    for table in quoted:
        columns = ", ".join(f"[{odd.replace(']', ']]')}] nvarchar(20)" for odd in ODD)
        stack.execute(
            f"CREATE TABLE {table} ([key] int PRIMARY KEY, {columns})",
            f"INSERT INTO {table} VALUES (1, {', '.join('N' + repr('वि' + str(n)) for n in range(len(ODD)))})",
        )
    run = stack.run(stack.request({"tables": [{"tableName": table} for table in quoted]}))
    assert {t["table"]: t["error"] for t in run["tables"] if t["error"]} == {}
    assert run["status"] == "succeeded"
    assert len({t["bronze_key"] for t in run["tables"]}) == len(ODD)
    for table in run["tables"]:
        landed = stack.bronze(table["bronze_key"])
        assert landed.column_names[:-5] == ["key", *ODD]
        assert landed.slice(0, 1).to_pylist()[0][ODD[0]] == "वि0"
        assert table["silver_rows"] == 1


def test_should_load_300_columns(stack, name):
    columns = ", ".join(f"c{n:03} int" for n in range(299))
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, {columns})",
        f"INSERT INTO {name} VALUES ({', '.join(str(n) for n in range(300))})",
    )
    table = stack.load({"tableName": name})
    assert (table["status"], table["columns"], table["silver_rows"]) == ("published", 305, 1)
    assert stack.lake(f"SELECT c298 FROM gold.{name}") == [(299,)]


def test_should_load_a_text_cell_of_a_megabyte(stack, name):
    text = "𝒜é€x" * 262_144
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v nvarchar(max))", f"INSERT INTO {name} VALUES (1, N'{text}')"
    )
    table = stack.load({"tableName": name})
    assert table["status"] == "published"
    assert stack.bronze(table["bronze_key"])["v"][0].as_py() == text
    assert stack.lake(f"SELECT v FROM gold.{name}") == [(text,)]


def test_should_not_let_a_load_that_can_never_land_block_the_next_one(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, _batch_id int)", f"INSERT INTO {name} VALUES (1, 7)")
    error = failed(stack, {"tableName": name})
    assert "_batch_id" in error["cause"]
    assert "auditColumns" in error["remedy"]
    table = stack.load({"tableName": name}, bronzeConfig={"auditColumns": False})
    assert (table["status"], table["columns"]) == ("published", 2)


def test_should_count_rows_that_are_stamped_in_the_future_and_leave_them_to_their_time(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, modified datetime)",
        f"CREATE INDEX i_{name} ON {name} (modified)",
        f"INSERT INTO {name} VALUES (1, '2024-01-01'), (2, '2190-01-01'), (3, '2190-01-02')",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified"}
    table = stack.load(config)
    assert (table["status"], table["records"]) == ("published", 1)
    assert "in the future wait for it: 2" in table["promise"]
