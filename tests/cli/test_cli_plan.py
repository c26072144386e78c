"""`flowforge plan`: each table's outcome in one line, what is to be read of it below, and the exit code of a refusal."""

import json

PLAN = "POST /api/plan"
REQUEST = {"workflow_id": "w", "source_type": "database"}
LOADS = {
    "source_table": "dbo.accounts",
    "bronze_table": "bronze_accounts",
    "silver_table": "accounts",
    "gold_table": "accounts",
    "mode": "incremental by modified_date, merge",
    "outcome": "loads",
    "refused": None,
    "low": None,
    "high": "2025-11-08 06:12:08.000",
    "rows": 1200,
    "counted": False,
    "slices": 1,
    "last": {"records": 1000, "seconds": 12.4},
    "where": ["region = EU"],
    "protected": {"ssn": "hmac by key 00ff"},
    "warnings": ["modified_date leads no index"],
}
REFUSED = LOADS | {
    "source_table": "dbo.cards",
    "outcome": "refused",
    "warnings": [],
    "refused": {"error": "ScopeChanged", "message": "where was all rows", "remedy": "Write it as it was"},
}


def test_should_show_the_plan_of_each_table_and_go_on_until_the_last(flowforge, api):
    (flowforge.folder / "r.json").write_text(json.dumps(REQUEST))
    api.answer(PLAN, {"tables": [LOADS], "total": 1, "next": None})

    plain, as_json = flowforge("plan", "r.json"), flowforge("plan", "r.json", "--json")

    assert (plain.code, as_json.code) == (0, 0)
    shown = (
        "dbo.accounts",
        "about 1,200",
        "1,000 rows in 12 s",
        "region = EU",
        "ssn: hmac by key 00ff",
        "leads no index",
    )
    assert all(text in plain.out for text in shown), plain.out
    assert as_json.document == {"tables": [LOADS], "total": 1}
    assert api.asked[0].document == REQUEST


def test_should_exit_with_1_and_the_remedy_where_a_table_would_be_refused(flowforge, api):
    (flowforge.folder / "r.json").write_text(json.dumps(REQUEST))
    api.answer(PLAN, {"tables": [LOADS, REFUSED], "total": 2, "next": None})

    ended = flowforge("plan", "r.json")

    assert ended.code == 1
    assert "where was all rows" in ended.out and "Write it as it was" in ended.out


def test_should_tell_whether_keys_are_due_to_be_compared_and_what_that_reads(flowforge, api):
    (flowforge.folder / "r.json").write_text(json.dumps(REQUEST))
    due = {"due": True, "last": "2025-11-07T06:00:00+00:00", "every_seconds": 86400, "deletes": "hard"}
    due |= {"max_delete_share": 0.1, "key": ["id", "day"], "rows": 1200, "refused": None}
    refused = due | {
        "refused": {"error": "UnsupportedSource", "message": "a policy filters", "remedy": "Another login"}
    }
    tables = [LOADS | {"comparison": due}, LOADS | {"comparison": refused, "source_table": "dbo.x"}]
    api.answer(PLAN, {"tables": tables, "total": 2, "next": None})

    ended = flowforge("plan", "r.json")

    told = " ".join(ended.out.split())
    assert ended.code == 0
    assert "keys are due, were compared at 2025-11-07T06:00:00+00:00; about 1,200 keys (id, day) are read twice" in told
    assert "at most 10.00% of the rows may go" in told
    assert "keys cannot be compared: a policy filters" in told and "Another login" in told


def test_should_show_what_the_load_before_has_cost_and_the_files_that_are_next(flowforge, api):
    (flowforge.folder / "r.json").write_text(json.dumps(REQUEST))
    last = {"records": 1000, "seconds": 12.4, "run_id": "r-1"}
    files = [{"key": "landing/a.csv", "size": 1200, "modified": "2025-11-08T06:12:08+00:00", "state": "next"}]
    row = LOADS | {"last": last, "files": files, "file_counts": {"next": 1, "loaded": 7}}
    other = LOADS | {"last": last | {"run_id": "r-0"}, "bronze_table": "bronze_other"}
    api.answer(PLAN, {"tables": [row, other], "total": 2, "next": None})
    used = {"step": "ingest", "deliveries": 1, "cold_starts": 0, "silent": 0, "seconds": 2.0, "gb_seconds": 3.5}
    used |= {"counts": {"s3_puts": 1000}}
    tables = [{"table": "bronze_accounts", "records": 1000, "usage": [used]}]
    api.answer("GET /api/runs/r-1", {"run_id": "r-1", "status": "succeeded", "tables": tables})
    api.answer("GET /api/runs/r-0", {"error": "NotFound", "message": "no run r-0", "remedy": ""}, 404)

    ended, as_json = flowforge("plan", "r.json"), flowforge("plan", "r.json", "--json")

    assert ended.code == 0, ended.err
    told = " ".join(ended.out.split())
    assert "1 next, 7 loaded" in told and "landing/a.csv (1,200 bytes" in told
    first, second = (one["last"] for one in as_json.document["tables"])
    assert first["price"] > 0 and first["prices"]["currency"] == "USD" and "price" not in second
