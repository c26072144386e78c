"""The stack starts beside whatever runs already, tells when it is ready, and leaves nothing behind."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pymssql
import pytest

from tests.helpers.aws_proxy import AwsProxy
from tests.helpers.tls import tls_before
from tests.helpers.waiting import LIMIT_SECONDS, wait_for


def carriers(mark):
    """Return the processes that were started with the mark in their environment."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def mark_of(pid):
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(variable for variable in variables if variable.startswith(b"FLOWFORGE_LOCAL_STACK="))


def test_should_publish_where_it_is_for_the_owner_only_and_withdraw_that_at_the_end(start_stack):
    stack = start_stack().wait_until_ready()

    assert set(stack.facts) == {
        "api", "aws", "s3", "bucket", "region", "aws_access_key_id", "aws_secret_access_key", "sqlserver", "ca_file", "pid",
        "logs", "watermarks_table", "token",
    }  # fmt: skip
    assert stack.facts["bucket"] == "lake-dev-123456789012"
    assert stack.facts["pid"] == stack.process.pid
    assert stat.S_IMODE(stack.file.stat().st_mode) == 0o600
    assert (
        stack.state / ".gitignore"
    ).read_text() == "*\n"  # whatever the folder is called, its keys are not committed
    os.kill(stack.process.pid, signal.SIGINT)
    assert stack.process.wait(timeout=LIMIT_SECONDS) == 0
    assert not stack.file.exists()
    assert stack.process.stdout.read().startswith("FlowForge is ready after ")


def test_should_refuse_a_second_stack_on_the_same_state_directory(start_stack):
    first = start_stack().wait_until_ready()

    second = start_stack()

    assert second.process.wait(timeout=LIMIT_SECONDS) == 2
    assert f"already runs on {first.state} (process {first.process.pid})" in second.process.stdout.read()
    assert json.loads(first.file.read_text()) == first.facts


@pytest.mark.parametrize("place", ["logs", "tmp", "keys.json"])
def test_should_name_what_cannot_be_written_in_its_state_directory(start_stack, tmp_path, place):
    state = tmp_path / "state"
    inside = (
        state / place / "x" if place == "keys.json" else state / place
    )  # a folder where a file belongs, and the other way round
    inside.parent.mkdir(parents=True)
    inside.mkdir() if place == "keys.json" else inside.touch()
    stack = start_stack()
    assert stack.process.wait(timeout=LIMIT_SECONDS) == 2
    told = stack.process.stdout.read()
    assert f"{state / place}" in told and "--state-dir" in told
    assert "Traceback" not in told


def test_should_replace_the_file_of_a_stack_that_was_killed(start_stack):
    killed = start_stack().wait_until_ready()
    killed.stop(signal.SIGKILL)
    assert killed.file.exists()

    stack = start_stack()
    wait_for(lambda: not killed.file.exists() or json.loads(killed.file.read_text()) != killed.facts, "the new stack")

    assert stack.wait_until_ready().facts["pid"] == stack.process.pid


def test_should_serve_the_sample_bank_and_give_its_certificate_authority_to_the_functions(start_stack):
    stack = start_stack("--sqlserver-port", "0", "--bank-scale", "0.1").wait_until_ready()

    server = stack.facts["sqlserver"]
    assert {**server, "port": 0} == {
        "host": "localhost", "port": 0, "database": "BFSI_Test", "username": "sa", "password": "FlowForge2024!",
    }  # fmt: skip
    assert "BEGIN CERTIFICATE" in Path(stack.facts["ca_file"]).read_text()
    assert stack.http.get("/items/1").json()["environment"]["FLOWFORGE_SOURCE_CA_FILE"] == stack.facts["ca_file"]
    login = {
        "server": server["host"],
        "port": server["port"],
        "user": server["username"],
        "password": server["password"],
    }
    with pymssql.connect(**login, database=server["database"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM dbo.customers")
        assert cursor.fetchall() == [(50,)]


def test_should_take_a_free_port_when_the_preferred_one_is_taken(start_stack):
    with socket.socket() as leftover:
        leftover.bind(("127.0.0.1", 0))
        leftover.listen()
        taken = leftover.getsockname()[1]

        stack = start_stack("--port", str(taken), "--aws-port", str(taken)).wait_until_ready()

        assert str(taken) not in stack.facts["api"] + stack.facts["s3"]
        assert stack.http.get("/_local/state").status_code == 200
        assert stack.s3.list_buckets()["Buckets"]


def test_should_start_beside_a_stack_that_starts_at_the_same_moment_and_prefers_the_same_port(start_stack, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        wanted = free.getsockname()[1]
    options = ("--sqlserver-port", str(wanted), "--bank-scale", "0.1")

    stacks = [start_stack(*options, state=tmp_path / str(number)) for number in range(3)]

    ports = [stack.wait_until_ready().facts["sqlserver"]["port"] for stack in stacks]
    assert len(set(ports)) == 3 and wanted in ports


def test_should_leave_no_process_behind_when_killed(start_stack):
    stack = start_stack().wait_until_ready()
    pids = stack.http.post("/child").json()
    mark = mark_of(pids["worker"])
    assert {pids["worker"], pids["child"]} < carriers(mark)  # the embedded AWS carries it as well

    stack.stop(signal.SIGKILL)

    wait_for(lambda: not carriers(mark), "all processes of the stack to end")


def test_should_leave_no_process_behind_when_stopped(start_stack):
    stack = start_stack().wait_until_ready()
    mark = mark_of(stack.http.post("/child").json()["worker"])

    assert stack.stop(signal.SIGTERM) == 0

    wait_for(lambda: not carriers(mark), "all processes of the stack to end")


def test_should_take_the_temporary_files_of_its_functions_with_it_and_those_of_a_stack_that_was_killed(start_stack):
    stack = start_stack().wait_until_ready()
    scratch = Path(stack.http.get("/items/1").json()["environment"]["TMPDIR"])
    assert scratch == stack.state / "tmp"
    (scratch / "left").touch()
    stack.stop(signal.SIGKILL)
    stack.file.unlink()  # which the next one would replace
    again = start_stack().wait_until_ready()
    assert list(scratch.iterdir()) == []
    (scratch / "left").touch()
    assert again.stop(signal.SIGTERM) == 0
    assert not scratch.exists()


def test_should_stop_when_the_embedded_aws_dies(start_stack):
    stack = start_stack().wait_until_ready()
    workers = {pid for function in stack.functions().values() for pid in function["workers"]}
    worker = stack.http.post("/child").json()["worker"]
    (aws,) = (
        pid
        for pid in carriers(mark_of(worker)) - workers
        if b"moto_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )

    os.kill(aws, signal.SIGKILL)

    assert stack.process.wait(timeout=LIMIT_SECONDS) == 1
    assert not stack.file.exists()


def test_should_warm_every_function_after_it_is_ready(start_stack):
    stack = start_stack(warm=True).wait_until_ready()

    wait_for(lambda: all(function["workers"] for function in stack.functions().values()), "a worker of each function")

    assert {function["cold"] for function in stack.functions().values()} == {1}


def test_should_go_on_and_keep_its_logs_when_nobody_reads_its_terminal_any_more(start_stack):
    stack = start_stack(loud=True).wait_until_ready()
    stack.process.stdout.close()  # as `head` does when it has its lines
    for _ in range(3):
        assert stack.http.get("/fail").status_code == 500
    told = stack.state / "logs" / "Api.log"
    wait_for(lambda: told.read_text().count('raise ValueError("as asked")') == 3, "the traces")
    os.kill(stack.process.pid, signal.SIGINT)
    assert stack.process.wait(timeout=LIMIT_SECONDS) == 0


def test_should_say_what_is_wrong_with_the_command_line(start_stack):
    for options, message in (
        (("--parameter", "Stagee=prod"), "no such parameter: Stagee"),
        (("--parameter", "Stage=test"), "parameter Stage is 'test'; allowed are dev, prod"),
        (("--parameter", "LakeBucketExists=true"), "a local stack makes its own bucket"),
        (("--template", "nowhere.yaml"), "no template at nowhere.yaml"),
    ):
        stack = start_stack(*options)
        assert stack.process.wait(timeout=LIMIT_SECONDS) == 2
        assert message in stack.process.stdout.read()


def use_s3_of(other, monkeypatch):
    """Names the keys of another stack's S3 as a user names those of a MinIO."""
    monkeypatch.setenv("FLOWFORGE_S3_ACCESS_KEY_ID", other.facts["aws_access_key_id"])
    monkeypatch.setenv("FLOWFORGE_S3_SECRET_ACCESS_KEY", other.facts["aws_secret_access_key"])


def notification(stack, key):
    """What MinIO says of an object that was put."""
    place = {"bucket": {"name": stack.facts["bucket"]}, "object": {"key": key}}
    return {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": place}]}


def test_should_keep_objects_on_another_s3_that_notifies_the_webhook(start_stack, tmp_path, monkeypatch):
    other = start_stack(state=tmp_path / "other").wait_until_ready()
    use_s3_of(other, monkeypatch)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))  # which is of no use without TLS

    stack = start_stack("--s3-endpoint", other.facts["s3"]).wait_until_ready()

    assert stack.facts["s3"] == other.facts["s3"]
    assert stack.http.post("/_local/minio", json=notification(stack, "requests%2Fa")).json() == {"events": 1}
    assert other.object("seen/requests/a")["detail"]["object"]["key"] == "requests/a"
    wait_for(lambda: stack.functions()["Dropped"]["ok"] == 1, "the function that the notification set off")
    assert other.functions()["Dropped"]["ok"] == 0
    # This S3 is no MinIO and knows no webhook: the stack runs all the same, and says so.
    assert "does not notify arn:minio:sqs::FLOWFORGE:webhook" in (stack.state / "logs" / "dispatcher.log").read_text()


def test_should_keep_objects_on_an_s3_whose_certificate_a_private_authority_has_signed(
    start_stack, tmp_path, monkeypatch
):
    other = start_stack(state=tmp_path / "other").wait_until_ready()
    use_s3_of(other, monkeypatch)
    with tls_before(other.facts["s3"], tmp_path / "tls") as (url, authority):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        stack = start_stack("--s3-endpoint", url).wait_until_ready()
        assert stack.http.post("/_local/minio", json=notification(stack, "requests%2Fb")).json() == {"events": 1}
        assert other.object("seen/requests/b")["detail"]["object"]["key"] == "requests/b"
        stack.stop()


def test_should_not_start_on_another_s3_by_authorities_that_are_not_there(start_stack, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    stack = start_stack("--s3-endpoint", "https://localhost:9")
    assert stack.process.wait(timeout=LIMIT_SECONDS) == 2
    assert f"AWS_CA_BUNDLE names {tmp_path / 'gone.pem'}, which is no file" in stack.process.stdout.read()


def test_should_not_start_on_an_s3_that_ignores_conditional_writes(start_stack, tmp_path, monkeypatch):
    other = start_stack(state=tmp_path / "other").wait_until_ready()
    use_s3_of(other, monkeypatch)
    keys = {name: other.facts[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    with AwsProxy(other.facts["s3"], keys) as proxy:
        proxy.dropped = {"PUT": ("If-None-Match",)}
        stack = start_stack("--s3-endpoint", proxy.url)
        assert stack.process.wait(timeout=LIMIT_SECONDS) == 2
    told = stack.process.stdout.read()
    assert "ignores If-None-Match" in told and "Use a store that honours" in told
