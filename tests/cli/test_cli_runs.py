"""`flowforge submit` and `flowforge status`."""

import json
import signal

from tests.helpers.waiting import LIMIT_SECONDS

REQUEST = {"workflow_id": "wf 1/a", "job_id": "j", "source_type": "database"}
ACCEPTED = {
    "run_id": "run-1",
    "workflow_id": "wf 1/a",
    "job_id": "j",
    "batch_id": "b1",
    "status": "accepted",
    "tables": ["bronze_customers"],
}
RUN = "POST /api/workflows/wf%201%2Fa/run"


def write(folder, document) -> str:
    (folder / "request.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return "request.json"


def test_should_send_the_document_byte_for_byte(flowforge, api):
    text = '{ "workflow_id": "wf 1/a",\n  "amount": 1.50 }'
    api.answer(RUN, ACCEPTED, 202)

    ended = flowforge("submit", write(flowforge.folder, text), "--json")

    assert (ended.code, ended.document) == (0, ACCEPTED)
    assert api.asked[0].body == text.encode()


def test_should_ask_for_the_runs_of_one_status_until_there_are_enough(flowforge, api):
    api.answer_in_turn("GET /api/runs", [{"runs": [], "next": "here"}, {"runs": []}])
    ended = flowforge("status", "--status", "under-way")
    assert (ended.code, ended.out.strip()) == (0, "No run has this status.")
    assert [(asked.query["status"], asked.query.get("cursor")) for asked in api.asked] == [
        ("under-way", None),
        ("under-way", "here"),
    ]
    assert flowforge("status", "run-1", "--status", "failed").code == 2
    assert flowforge("status", "--status", "nothing").code == 2


def test_should_say_that_a_document_is_empty(flowforge, api):
    for text in ("", " \n"):
        ended = flowforge("submit", "-", stdin=text)
        assert (ended.code, "stdin is empty" in ended.err, "a job request as JSON" in ended.err) == (2, True, True)
    listed = flowforge("submit", "-", "--json", stdin="[]")
    assert (listed.code, listed.document["message"]) == (2, "stdin is not a job request")
    assert not api.asked


def test_should_read_the_document_from_stdin(flowforge, api):
    api.answer(RUN, ACCEPTED, 202)

    ended = flowforge("submit", "-", stdin=json.dumps(REQUEST))

    assert ended.code == 0
    assert "run-1" in ended.out


def test_should_send_another_source_only_when_asked(flowforge, api):
    api.answer(RUN, ACCEPTED, 202)
    inline = {"host": "localhost", "port": 1433, "database": "d", "username": "u", "password": "p"}
    file = write(flowforge.folder, REQUEST | {"source_config": {"type": "sql-server", "connection": inline}})

    flowforge("submit", file, "--source", "db.example:15000")
    flowforge("submit", file, "--connection", "bank")

    sent = [asked.document["source_config"]["connection"] for asked in api.asked]
    assert sent == [inline | {"host": "db.example", "port": 15000}, {"connectionId": "bank"}]


def test_should_name_every_mistake_that_the_api_found_and_exit_2(flowforge, api):
    mistakes = [{"field": "source_type", "problem": "expected x"}, {"field": "job_id", "problem": "missing"}]
    api.answer(RUN, {"error": "InvalidRequest", "message": "2 mistakes", "mistakes": mistakes}, 400)
    file = write(flowforge.folder, REQUEST)

    plain, as_json = flowforge("submit", file), flowforge("submit", file, "--json")

    assert (plain.code, plain.out) == (2, "")
    assert all(word in plain.err for word in ("source_type", "expected x", "job_id", "missing"))
    assert (as_json.code, as_json.document["mistakes"]) == (2, mistakes)


def test_should_name_every_mistake_of_a_document_without_a_workflow(flowforge, api):
    ended = flowforge("submit", write(flowforge.folder, {"source_type": "stream"}), "--json")

    assert ended.code == 2
    assert {"workflow_id", "job_id", "source_type", "source_config"} <= {m["field"] for m in ended.document["mistakes"]}
    assert api.asked == []


def test_should_refuse_what_is_no_json_object_with_exit_code_2(flowforge):
    for text in ("{", "[1]", "", "null"):
        ended = flowforge("submit", write(flowforge.folder, text), "--json")
        assert (ended.code, ended.document["error"]) == (2, "InvalidRequest"), text
    assert flowforge("submit", "no-such-file.json").code == 2


def test_should_watch_until_every_table_is_done_and_print_each_change_once(flowforge, api, told):
    api.answer(RUN, ACCEPTED, 202)
    states = [
        told.run(told.table(status=s), told.table("bronze_accounts", "empty")) for s in ("queued", "queued", "landed")
    ]
    done = told.run(told.table(), told.table("bronze_accounts", "empty", reason="nothing changed"), status="succeeded")
    api.answer_in_turn("GET /api/runs/run-1", [*states, done])

    ended = flowforge("submit", write(flowforge.folder, REQUEST), "--watch")

    assert ended.code == 0
    for change in (
        "bronze_customers: queued",
        "bronze_customers: landed",
        "bronze_customers: published",
        "bronze_accounts: empty",
    ):
        assert ended.out.count(change) == 1
    assert "\x1b[" not in ended.out
    assert "bronze/bronze_customers/b1.parquet" in ended.out


def test_should_ask_while_it_watches_for_what_has_changed_and_at_the_end_for_all(flowforge, api, told):
    queued = [told.table(name, "queued") for name in ("bronze_a", "bronze_b")]
    landed, renamed = told.table("bronze_a", "landed"), told.table("Bronze_B", "published")
    states = [told.run(*queued), told.run(landed), told.run(), told.run(renamed, status="succeeded")]
    times = [told_at | {"as_of": f"2026-01-02T03:04:0{second}.000+00:00"} for second, told_at in enumerate(states)]
    done = told.run(told.table("bronze_a", "published"), renamed, status="succeeded")
    api.answer_in_turn("GET /api/runs/run-1", [*times, done | {"as_of": times[0]["as_of"]}])

    ended = flowforge("status", "run-1", "--watch")

    assert ended.code == 0
    assert [asked.query.get("since") for asked in api.asked] == [None, *(one["as_of"] for one in times[:3]), None]
    for change in ("bronze_a: queued", "bronze_a: landed", "bronze_a: published", "Bronze_B: published"):
        assert ended.out.count(change) == 1


def test_should_exit_1_when_a_watched_table_failed_and_tell_the_remedy(flowforge, api, told):
    api.answer(RUN, ACCEPTED, 202)
    api.answer("GET /api/runs/run-1", told.run(told.table(), told.failed(), status="failed"))
    file = write(flowforge.folder, REQUEST)

    plain, as_json = flowforge("submit", file, "--watch"), flowforge("submit", file, "--watch", "--json")

    assert (plain.code, as_json.code) == (1, 1)
    assert "no table dbo.orders" in plain.out
    assert "check its name" in plain.out
    assert as_json.document["tables"][1]["error"]["error"] == "UnknownTable"


def test_should_exit_2_when_a_watched_run_was_rejected(flowforge, api, told):
    mistakes = [{"field": "source_type", "problem": "expected database"}]
    api.answer("GET /api/runs/run-1", told.run(status="rejected", mistakes=mistakes))

    ended = flowforge("status", "run-1", "--watch")

    assert ended.code == 2
    assert "expected database" in ended.out


def test_should_stop_watching_when_the_time_is_up(flowforge, api, told):
    api.answer("GET /api/runs/run-1", told.run(told.table(status="queued")))

    ended = flowforge("status", "run-1", "--watch", "--timeout", "0", "--json")

    assert ended.code == 1
    assert ended.document["error"] == "StillRunning"


def test_should_leave_the_run_alone_on_ctrl_c_and_say_so(flowforge, api, told):
    api.answer("GET /api/runs/run-1", told.run(told.table(status="landed")))
    process = flowforge.start("status", "run-1", "--watch")
    assert "landed" in process.stdout.readline()

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 130
    assert "run run-1 goes on" in err
    assert "Traceback" not in out + err


def test_should_show_a_run_and_exit_by_what_became_of_it(flowforge, api, told):
    api.answer("GET /api/runs/good", told.run(told.table(), status="succeeded", run_id="good"))
    api.answer("GET /api/runs/bad", told.run(told.failed(), status="failed", run_id="bad"))

    assert flowforge("status", "good").code == 0
    assert flowforge("status", "bad").code == 1
    unknown = flowforge("status", "unknown", "--json")
    assert (unknown.code, unknown.document["error"]) == (1, "NotFound")


def test_should_show_what_the_source_counts_where_that_is_not_what_was_read(flowforge, api, told):
    left = told.table("bronze_left", source_rows=498, counted="after landing")
    same = told.table("bronze_same", source_rows=500, counted="after landing")
    api.answer("GET /api/runs/run-1", told.run(left, same, status="succeeded"))

    ended = flowforge("status", "run-1")

    assert "bronze_left  498 rows counted at the source after landing" in ended.out
    assert "bronze_same  500" not in ended.out


def test_should_list_the_runs_of_a_workflow(flowforge, api):
    listed = {
        "run_id": "run-1",
        "workflow_id": "w",
        "job_id": "j",
        "status": "failed",
        "accepted_at": "2026-01-02T03:04:05Z",
    }
    tables = [{"table": "a", "status": "published"}, {"table": "b", "status": "failed"}]
    api.answer("GET /api/runs", {"runs": [listed | {"tables": tables}]})

    ended = flowforge("status", "--limit", "3", "--workflow", "w")

    assert ended.code == 0
    assert "1 published, 1 failed" in ended.out
    assert api.asked[0].query == {"limit": "3", "workflow_id": "w"}


def test_should_list_as_many_runs_as_were_asked_for_however_many_a_page_holds(flowforge, api):
    run = {"workflow_id": "w", "job_id": "j", "status": "failed", "accepted_at": "2026-01-02T03:04:05Z", "tables": []}
    listed = [run | {"run_id": f"run-{n}"} for n in range(4)]
    api.answer_in_turn("GET /api/runs", [{"runs": listed[:2], "next": "here"}, {"runs": listed[2:], "next": "there"}])

    ended = flowforge("status", "--limit", "3", "--json")

    assert [run["run_id"] for run in json.loads(ended.out)["runs"]] == ["run-0", "run-1", "run-2"]
    assert [asked.query.get("cursor") for asked in api.asked] == [None, "here"]


def test_should_keep_watching_while_the_api_is_away_for_a_moment(flowforge, api, told):
    done = told.run(told.table(), status="succeeded")
    api.answers["GET /api/runs/run-1"] = [(503, {"message": "busy"}), (502, b"<html>"), (200, done)]

    assert flowforge("status", "run-1", "--watch").code == 0


def test_should_stop_and_ask_which_server_is_meant_when_the_document_names_another_port(flowforge, api, stack_file):
    stack_file(sqlserver={"host": "localhost", "port": 40001})
    api.answer(RUN, ACCEPTED, 202)
    document = REQUEST | {"source_config": {"connection": {"host": "localhost", "port": 1433}}}

    ended = flowforge("submit", write(flowforge.folder, document))

    assert (ended.code, api.asked) == (2, [])
    assert "add --source localhost:40001" in ended.err
    assert "or --source localhost:1433" in ended.err
    named = flowforge("submit", write(flowforge.folder, document), "--source", "localhost:1433", "--json")
    assert (named.code, api.asked[0].document) == (0, document)
