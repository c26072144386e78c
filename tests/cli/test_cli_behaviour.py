"""What holds for every command: which API, what on which stream, how it ends."""

import os
import pty
import subprocess
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import pytest

from tests.helpers.waiting import LIMIT_SECONDS


def test_should_say_how_to_start_a_stack_when_there_is_no_api(alone):
    plain, as_json = alone("status"), alone("status", "--json")

    assert (plain.code, plain.out) == (3, "")
    assert "flowforge up" in plain.err
    assert (as_json.code, as_json.document["error"]) == (3, "NoStack")


def test_should_say_so_when_nobody_answers_at_the_address(alone):
    ended = alone("status", "--api", "http://127.0.0.1:9", "--json")

    assert (ended.code, ended.document["error"]) == (3, "ApiUnreachable")
    assert "http://127.0.0.1:9" in ended.document["message"]


def test_should_refuse_an_address_that_is_none(alone):
    for address in ("127.0.0.1:8080", "ftp://x", "http://"):
        assert alone("status", "--api", address).code == 2, address


def test_should_find_the_running_stack_from_a_folder_below(alone, api, stack_file):
    stack_file()
    api.answer("GET /api/runs", {"runs": []})
    below = alone.folder / "a" / "b"
    below.mkdir(parents=True)
    alone.folder = below

    assert alone("status").code == 0
    assert len(api.asked) == 1


def test_should_prefer_the_option_to_the_environment_to_the_stack(alone, api, stack_file):
    stack_file(api="http://127.0.0.1:9")
    api.answer("GET /api/runs", {"runs": []})

    assert alone("status", env={"FLOWFORGE_API_URL": api.url}).code == 0
    assert alone("status", "--api", api.url, env={"FLOWFORGE_API_URL": "http://127.0.0.1:9"}).code == 0
    assert alone("status").code == 3


def test_should_not_believe_the_file_of_a_stack_that_was_killed(alone, stack_file):
    ended = subprocess.Popen(["true"])
    ended.wait()
    stack_file(pid=ended.pid)

    assert "flowforge up" in alone("status").err


def test_should_exit_2_on_wrong_usage_and_keep_stdout_json(flowforge):
    for arguments in (("nonsense",), ("submit",), ("status", "--limit", "0"), ("watermark", "set", "t", "1")):
        plain, as_json = flowforge(*arguments), flowforge(*arguments, "--json")
        assert (plain.code, plain.out, as_json.code) == (2, "", 2), arguments
        assert as_json.document["error"] == "UsageError"


@pytest.mark.parametrize(
    ("arguments", "told", "remedy"),
    [
        (("staus",), "'staus'. Did you mean 'status'?", "flowforge --help"),
        (("runs",), "'runs'. Did you mean 'status'?", "flowforge --help"),  # of other letters
        (("connections", "lst"), "'lst'. Did you mean 'list'?", "flowforge connections --help"),
        (("submit", "--wach"), "--watch", "flowforge submit --help"),
        (("cost",), "Missing argument 'RUN'", "flowforge cost --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_should_tell_what_was_meant_and_whose_help_to_read(alone, arguments, told, remedy):
    plain, as_json = alone(*arguments), alone(*arguments, "--json")
    assert plain.code == 2
    assert told in plain.err
    assert plain.err.endswith(f"What to do: {remedy}\n")
    assert (told in as_json.document["message"], as_json.document["remedy"]) == (True, remedy)
    assert alone(*remedy.split()[1:]).code == 0


def test_should_tell_its_version(alone):
    ended = alone("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"flowforge {version('flowforge')} (Python {python_version()}, ")


def test_should_list_each_command_with_one_sentence(alone):
    ended = alone("-h", env={"COLUMNS": "200"})
    assert ended.code == 0
    lines = {line.split()[1]: " ".join(line.split()[2:-1]) for line in ended.out.splitlines() if line.startswith("│")}
    assert lines["submit"] == "Submit a job request"
    assert lines["files"] == "Look at files before they are loaded, and at what became of them."
    assert {"up", "status", "sql", "--version"} <= set(lines)


def test_should_survive_an_answer_that_is_not_json(flowforge, api):
    api.answer("GET /api/runs", b"<html>Bad Gateway</html>", 502)

    ended = flowforge("status", "--json")

    assert (ended.code, ended.document["error"]) == (1, "HTTP502")
    assert "Traceback" not in ended.err


def test_should_sign_requests_to_a_deployed_api_and_no_others(flowforge, api):
    api.answer("GET /api/runs", {"runs": []})
    credentials = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr", "AWS_REGION": "eu-west-1"}

    flowforge("status", env=credentials)
    flowforge("status", "--sign", env=credentials | {"AWS_DEFAULT_REGION": "eu-west-1"})
    without = flowforge("status", "--sign")

    unsigned, signed = api.asked
    assert "authorization" not in unsigned.headers
    assert "/eu-west-1/execute-api/aws4_request" in signed.headers["authorization"]
    assert without.code == 2
    assert "wJalr" not in str(signed.headers)


def test_should_show_a_deployed_api_the_token_that_is_named_and_sign_where_none_is(alone, api):
    api.answer("GET /api/runs", {"runs": []})
    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr", "HTTP_PROXY": api.url}
    deployed = ("status", "--api", "http://abc.execute-api.eu-west-1.amazonaws.com")

    alone(*deployed, env=environment | {"FLOWFORGE_TOKEN": "eyJ.of.issuer"})
    alone(*deployed, env=environment)
    alone(*deployed, "--sign", env=environment | {"FLOWFORGE_TOKEN": "of-a-local-stack"})

    named, signed, asked_to_sign = [asked.headers["authorization"] for asked in api.asked]
    assert named == "Bearer eyJ.of.issuer"
    assert signed.startswith("AWS4-HMAC-SHA256") and asked_to_sign.startswith("AWS4-HMAC-SHA256")


def test_should_show_a_stacks_token_to_that_stack_only(alone, api, stack_file):
    api.answer("GET /api/runs", {"runs": []})
    stack_file(token="of-the-stack")

    alone("status")
    alone("status", "--api", api.url.replace("127.0.0.1", "localhost"))
    told = alone("token")
    named = {"FLOWFORGE_TOKEN": "of-another"}
    alone("status", env=named)
    stack_file(token="of-the-stack", api="http://127.0.0.1:9")
    alone("status", "--api", api.url)
    alone("status", "--api", api.url, env=named)

    shown = [asked.headers.get("authorization") for asked in api.asked]
    assert shown == [*["Bearer of-the-stack"] * 3, None, "Bearer of-another"]
    assert (told.out, told.err) == ("of-the-stack\n", "")


def test_should_end_quietly_when_the_reader_goes_away(flowforge, api, told):
    api.answer("GET /api/runs", {"runs": [told.run()]})

    for form in (["status"], ["status", "--json"], ["--help"], ["files", "--help"]):
        process = flowforge.start(*form)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(LIMIT_SECONDS) == 141
        assert err == ""


def test_should_show_a_live_table_in_a_terminal(flowforge, api, told):
    api.answer_in_turn(
        "GET /api/runs/run-1", [told.run(told.table(status="queued")), told.run(told.table(), status="succeeded")]
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        flowforge.command("status", "run-1", "--watch"),
        cwd=flowforge.folder,
        env=flowforge.environment | {"TERM": "xterm", "COLUMNS": "140"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)

    assert process.wait(LIMIT_SECONDS) == 0
    assert b"\x1b[" in seen
    assert "✔ published".encode() in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_should_say_that_an_answer_cannot_be_written(flowforge, api, told, form):
    api.answer("GET /api/runs", {"runs": [told.run()]})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            flowforge.command("status", *form),
            cwd=flowforge.folder,
            env=flowforge.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    first, second = done.stderr.splitlines()
    assert (done.returncode, first[:37]) == (1, "Error: the output cannot be written, ")
    assert second.startswith("What to do: make space there")
