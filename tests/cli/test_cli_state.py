"""`flowforge watermark` and `flowforge connections`."""

MARK = {
    "source_key": "localhost|BFSI_Test|dbo.customers|modified_date|bronze_customers",
    "bronze_table": "bronze_customers",
    "source_table": "dbo.customers",
    "generation": 2,
    "seq": 3,
    "watermarks": {
        "modified_date": {
            "value": "2026-11-23 06:00:00.997",
            "sql_type": "datetime",
            "committed_at": "2026-11-23T06:00:02Z",
            "seq": 3,
        }
    },
    "active_batch": None,
    "history": [{"seq": 3, "generation": 2, "state": "refined", "label": "b", "low": None, "high": "x", "records": 5}],
    "audit": [
        {"at": "2026-11-23T06:00:02Z", "action": "set", "column": "c", "before": None, "after": "1", "reason": "why"}
    ],
}
ONE = "/api/watermarks/bronze_customers"


def test_should_show_a_watermark_with_its_batches_and_corrections(flowforge, api):
    api.answer(f"GET {ONE}", MARK)

    plain, as_json = (
        flowforge("watermark", "get", "bronze_customers"),
        flowforge("watermark", "get", "bronze_customers", "--json"),
    )

    assert (plain.code, as_json.document) == (0, MARK)
    assert all(word in plain.out for word in ("2026-11-23 06:00:00.997", "datetime", "refined", "why"))


def test_should_list_watermarks(flowforge, api):
    api.answer("GET /api/watermarks", {"watermarks": [MARK, MARK | {"bronze_table": "bronze_new", "watermarks": {}}]})

    ended = flowforge("watermark", "list")

    assert ended.code == 0
    assert "modified_date" in ended.out
    assert "bronze_new" in ended.out


def test_should_set_a_watermark_with_its_reason(flowforge, api):
    api.answer(f"PUT {ONE}", MARK)

    ended = flowforge(
        "watermark", "set", "bronze_customers", "2024-01-01", "--column", "modified_date", "--reason", "again"
    )

    assert ended.code == 0
    assert api.asked[0].document == {"column": "modified_date", "value": "2024-01-01", "reason": "again"}


def test_should_reset_only_when_confirmed(flowforge, api):
    api.answer(f"DELETE {ONE}", MARK | {"watermarks": {}})

    assert flowforge("watermark", "reset", "bronze_customers").code == 2
    assert api.asked == []
    assert flowforge("watermark", "reset", "bronze_customers", "--yes", "--reason", "test").code == 0
    assert (api.asked[0].method, api.asked[0].query) == ("DELETE", {"reason": "test"})


def test_should_reach_a_table_whatever_its_name(flowforge, api):
    mark = MARK | {"id": "0123456789ab", "source_key": "h:1/d/dbo.odd / näme>b", "source_table": "dbo.odd / näme"}
    api.answer("GET /api/watermarks", {"watermarks": [MARK | {"id": "1", "source_table": None}, mark]})
    api.answer("GET /api/watermarks/0123456789ab", mark)

    for name in ("dbo.[odd / näme]", "DBO.odd / Näme", "odd / näme", mark["source_key"]):
        assert flowforge("watermark", "get", name).code == 0
    assert "flowforge watermark list" in flowforge("watermark", "get", "odd / name").err


def test_should_save_a_connection_without_showing_its_password(flowforge, api):
    saved = {"id": "bank", "host": "db", "port": 1433, "database": "d", "username": "u"}
    api.answer("POST /api/connections", saved, 201)

    ended = flowforge(
        *("connections", "add", "bank", "--host", "db", "--database", "d", "--username", "u", "--json"),
        env={"FLOWFORGE_PASSWORD": "s3cret"},
    )

    assert (ended.code, ended.document) == (0, saved)
    assert api.asked[0].document == saved | {"password": "s3cret"}
    assert "s3cret" not in ended.out + ended.err


def test_should_list_and_remove_connections(flowforge, api):
    api.answer("GET /api/connections", {"connections": [{"id": "bank", "host": "db", "port": 1433}]})
    api.answer("DELETE /api/connections/bank", None, 204)

    assert "bank" in flowforge("connections", "list").out
    assert flowforge("connections", "remove", "bank").code == 0
    assert flowforge("connections", "remove", "other").code == 1


def test_should_keep_the_ids_of_given_up_messages_whole_in_a_narrow_window(flowforge, api):
    ids = {"run_id": "run_20251108T061208_6f1d2c3b4a", "id": "0b5c4c1e-9f3e-4f6a-8f0e-3d2d7f6f0a11"}
    told = {"queue": "ingest", "table": "bronze_customers", "age_seconds": 200, "reason": "no answer within 15 s. " * 5}
    api.answer("GET /api/dead-letters", {"messages": [told | ids] * 2, "more": False})

    for columns in ("80", "150"):
        shown = flowforge("replay", env={"COLUMNS": columns}).out.splitlines()
        assert all(sum(name in line for line in shown) == 2 for name in ids.values())
        assert max(map(len, shown)) <= int(columns)


def letter(number: int) -> dict:
    told = {"queue": "ingest", "table": "bronze_t", "run_id": "run_1", "age_seconds": 5, "reason": "x: y"}
    return told | {"id": f"id-{number}"}


def test_should_show_how_far_a_replay_is_and_ask_for_no_more_than_was_there(flowforge, api):
    more = {"messages": [letter(1), letter(2)], "more": True, "until": 17.5, "left": 3, "newer": 0, "failed": []}
    last = {"messages": [letter(3)], "more": False, "until": 17.5, "left": 2, "newer": 2, "failed": []}
    api.answer_in_turn("POST /api/dead-letters/replay", [more, last])
    ended = flowforge("replay", "--all")
    assert ended.code == 0
    assert [asked.document for asked in api.asked] == [{"all": True}, {"all": True, "until": 17.5}]
    assert "2 done, about 3 still in the queues" in ended.err
    assert "3 messages put back" in ended.out
    assert "2 came in since this began" in ended.err


def test_should_discard_only_what_is_named_and_with_a_reason(flowforge, api):
    answer = {"messages": [letter(1) | {"consequence": "it is not loaded"}], "more": False, "failed": []}
    api.answer("POST /api/dead-letters/discard", answer)
    for wrong in (["--discard", "--all"], ["--discard", "--reason", "x"], ["--reason", "x", "--all"]):
        assert flowforge("replay", *wrong).code == 2
    assert api.asked == []
    ended = flowforge("replay", "--discard", "--id", "id-1", "--reason", "dropped")
    assert (ended.code, api.asked[0].document) == (0, {"ids": ["id-1"], "reason": "dropped"})
    assert "1 message discarded" in ended.out and "it is not loaded" in ended.out


def test_should_name_the_message_at_which_a_replay_failed(flowforge, api):
    failed = letter(2) | {"problem": "SQS: too long"}
    api.answer("POST /api/dead-letters/replay", {"messages": [letter(1)], "more": False, "failed": [failed]})
    ended = flowforge("replay", "--all")
    assert ended.code == 1
    assert "id-2" in ended.err and "too long" in ended.err
