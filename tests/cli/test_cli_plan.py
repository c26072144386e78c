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
