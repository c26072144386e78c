"""`flowforge templates`."""

import json

SHORT = {
    "name": "customer_360",
    "title": "Customer 360 of a bank",
    "about": "One row per customer.",
    "workflow_id": "customer_360",
    "tables": ["customers", "accounts"],
    "models": ["customer_360", "dormant_accounts"],
}
REQUEST = {"workflow_id": "customer_360", "source_config": {"type": "sql-server", "databaseConfig": {"tables": []}}}
ACCEPTED = {"run_id": "run_1", "workflow_id": "customer_360", "job_id": "j", "batch_id": "b", "status": "accepted"}


def test_should_list_and_show_templates(flowforge, api):
    api.answer("GET /api/templates", {"templates": [SHORT]})
    api.answer("GET /api/templates/customer_360", SHORT | {"request": REQUEST})

    listed, shown = flowforge("templates", "list"), flowforge("templates", "show", "customer_360")

    assert (listed.code, shown.code) == (0, 0)
    assert all(word in listed.out for word in ("customer_360", "customers, accounts"))
    assert all(word in shown.out for word in ("One row per customer.", "dormant_accounts"))


def test_should_give_the_request_alone_for_a_schedule(flowforge, api):
    api.answer("GET /api/templates/customer_360", SHORT | {"request": REQUEST})

    ended = flowforge("templates", "show", "customer_360", "--request", "--connection", "bank")

    assert ended.document["source_config"]["connection"] == {"connectionId": "bank"}
    assert ended.document["workflow_id"] == "customer_360"


def test_should_run_a_template_with_a_saved_connection(flowforge, api):
    api.answer("POST /api/templates/customer_360/run", ACCEPTED | {"tables": ["bronze_customers"]}, 202)

    ended = flowforge("templates", "run", "customer_360", "--connection", "bank")

    assert (ended.code, api.asked[0].document) == (0, {"connectionId": "bank"})
    assert "bronze_customers" in ended.out


def test_should_save_a_request_without_its_connection_and_remove_it_again(flowforge, api, tmp_path):
    api.answer("PUT /api/templates/own", SHORT | {"name": "own"})
    api.answer("DELETE /api/templates/own", None, 204)
    whole = REQUEST | {
        "batch_id": "b",
        "source_config": REQUEST["source_config"] | {"connection": {"password": "hidden"}},
    }
    (tmp_path / "request.json").write_text(json.dumps(whole))

    saved = flowforge("templates", "save", "own", "request.json", "--title", "Ours", "--about", "All of it.")
    removed = flowforge("templates", "remove", "own")

    assert (saved.code, removed.code) == (0, 0)
    assert api.asked[0].document == {"title": "Ours", "about": "All of it.", "request": REQUEST}
    assert "customers, accounts" in saved.out
