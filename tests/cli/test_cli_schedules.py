"""`flowforge schedules`."""

import json

from events.sample_messages import FULL

ONE = {
    "workflow_id": "nightly",
    "cron": "30 2 * * 1-5",
    "rate": None,
    "timezone": "Europe/Berlin",
    "paused": False,
    "set_at": "2026-11-28T10:00:00+00:00",
    "next_at": "2026-11-30T01:30:00+00:00",
    "last_due": "2026-11-27T01:30:00+00:00",
    "last_run": "run_1",
    "started_at": "2026-11-27T01:30:20+00:00",
    "skipped": {
        "times": 2,
        "due": "2026-11-28T01:30:00+00:00",
        "at": "2026-11-28T01:30:00+00:00",
        "why": "run r is running",
    },
    "missed": None,
}
DETAILS = ONE | {"request": FULL, "last_status": "succeeded", "next": [ONE["next_at"], "2026-12-01T01:30:00+00:00"]}


def test_should_set_a_schedule_by_a_request_file(flowforge, api, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(FULL | {"workflow_id": "nightly"}))
    api.answer("PUT /api/schedules/nightly", ONE)

    ended = flowforge("schedules", "set", "job.json", "--cron", "30 2 * * 1-5", "--timezone", "Europe/Berlin")

    assert ended.code == 0
    assert api.asked[0].document == {
        "request": FULL | {"workflow_id": "nightly"},
        "cron": "30 2 * * 1-5",
        "timezone": "Europe/Berlin",
        "paused": False,
    }
    assert "2026-11-30 01:30:00" in ended.out


def test_should_list_schedules_with_what_a_person_should_know(flowforge, api):
    broken = {"workflow_id": "odd", "problem": "it is of version 99"}
    api.answer("GET /api/schedules", {"schedules": [ONE, ONE | {"workflow_id": "b", "paused": True}, broken]})

    ended = flowforge("schedules", "list")

    assert ended.code == 1  # one cannot be read
    assert all(text in ended.out for text in ("30 2 * * 1-5 Europe/Berlin", "paused", "skipped 2 times", "version 99"))


def test_should_show_the_next_times_and_the_last_run(flowforge, api):
    api.answer("GET /api/schedules/nightly", DETAILS)

    plain, as_json = flowforge("schedules", "show", "nightly"), flowforge("schedules", "show", "nightly", "--json")

    assert as_json.document == DETAILS
    assert all(text in plain.out for text in ("2026-12-01 01:30:00", "run_1 succeeded", "run r is running"))


def test_should_pause_resume_and_remove(flowforge, api):
    api.answer("POST /api/schedules/nightly/pause", ONE | {"paused": True, "next_at": None})
    api.answer("POST /api/schedules/nightly/resume", ONE)
    api.answer("DELETE /api/schedules/nightly", None, 204)

    assert [flowforge("schedules", verb, "nightly").code for verb in ("pause", "resume", "remove")] == [0, 0, 0]
    assert [asked.method for asked in api.asked] == ["POST", "POST", "DELETE"]


def test_should_tell_every_mistake_of_a_schedule(flowforge, api, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(FULL))
    mistakes = [{"field": "cron", "problem": "expected the five fields"}]
    refused = {"error": "InvalidRequest", "message": "1 mistake(s) in the request", "mistakes": mistakes}
    api.answer("PUT /api/schedules/wf_001", refused, 400)

    ended = flowforge("schedules", "set", "job.json", "--cron", "x", "--json")

    assert (ended.code, ended.document["mistakes"]) == (2, mistakes)
