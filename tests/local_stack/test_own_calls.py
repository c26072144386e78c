"""What a local stack holds is for its user's programs: no web page reads or starts anything, under whatever name it asks, and no
other program of the machine, which does not know the token."""

import json
import os
import stat
import subprocess
import sys

import httpx
import pytest

from flowforge.cli.keys import bearer

EVIL = "http://evil.example"
FOREIGN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "rebound.example:8080"},
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/items/1"), ("POST", "/items"), ("GET", "/_local/state"), ("POST", "/_local/minio")]
)
def test_should_answer_no_page_of_another_site(stack, method, path, headers):
    answer = stack.http.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("headers", FOREIGN)
def test_should_give_no_page_a_secret_of_the_embedded_aws(stack, headers):
    secrets = stack.client("secretsmanager")
    if not secrets.list_secrets()["SecretList"]:
        secrets.create_secret(Name="flowforge/own", SecretString="Pa55")
    target = {"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "text/plain"}
    answer = httpx.post(stack.facts["s3"], headers=target | headers, content=b'{"SecretId": "flowforge/own"}')
    assert (answer.status_code, answer.text.partition(":")[0]) == (403, "for programs of this machine only")
    assert "Pa55" not in answer.text
    preflight = httpx.options(stack.facts["s3"], headers={**headers, "Access-Control-Request-Method": "POST"})
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_should_tell_no_page_that_it_may_read(stack):
    answer = httpx.get(stack.facts["s3"])
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_should_take_requests_as_json_only(stack, kind):
    answer = stack.http.post("/api/anything", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["remedy"]


def test_should_answer_its_own_pages_and_programs(stack):
    own = stack.facts["api"]
    assert stack.http.get("/items/1", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status_code == 200
    named = own.replace("127.0.0.1", "localhost").removeprefix("http://")
    assert stack.http.get("/items/1", headers={"Host": named}).status_code == 200


@pytest.mark.parametrize("shown", [{}, bearer("guessed"), {"Authorization": "Basic c2E6"}, bearer("\u00e9")])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/items/1"), ("POST", "/items"), ("DELETE", "/items/1"), ("GET", "/nothing"), ("GET", "/_local/state"),
     ("POST", "/_local/minio"), ("POST", "/_local/schedule/ApiNightly")],
)  # fmt: skip
def test_should_answer_no_program_that_does_not_show_the_token(stack, method, path, shown):
    sent = [(name, value.encode()) for name, value in shown.items()]
    answer = httpx.request(method, stack.facts["api"] + path, headers=sent)
    told = answer.json()
    assert (answer.status_code, told["error"]) == (401, "TokenRequired")
    assert "flowforge token" in told["remedy"] and "keys.json" in told["remedy"]
    assert stack.facts["token"] not in answer.text


def test_should_take_the_token_as_minio_sends_it_and_show_it_to_no_function(stack):
    authorized = {"Authorization": f"bearer {stack.facts['token']}"}
    sent = httpx.post(stack.facts["api"] + "/_local/minio", headers=authorized, content=b"{}")
    assert (sent.status_code, sent.json()) == (200, {"events": 0})
    assert (
        httpx.head(stack.facts["api"] + "/_local/minio").status_code == 200
    )  # how MinIO finds out that something listens
    assert stack.facts["token"] not in stack.http.get("/items/1").text  # which answers with all that its function sees


def test_should_keep_the_token_for_its_owner_and_for_the_next_start(stack):
    kept = stack.state / "keys.json"
    assert json.loads(kept.read_text())["token"] == stack.facts["token"]
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE(stack.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.state.stat().st_mode) == 0o700
    assert token(stack.state) == stack.facts["token"]


def test_should_write_its_secrets_into_files_of_its_owner_only(stack):
    stack.http.post("/items", json={"id": "seen"})
    stack.http.get("/items/1")
    secrets = [stack.facts[name].encode() for name in ("token", "aws_access_key_id", "aws_secret_access_key")]
    files = {path: path.read_bytes() for path in stack.state.rglob("*") if path.is_file()}
    assert len(files) > 5  # logs as well
    told = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path, content in files.items()
        if any(s in content for s in secrets)
    }
    assert told == {"keys.json": 0o600, "stack.json": 0o600}
    assert stat.S_IMODE((stack.state / "logs").stat().st_mode) == 0o700


def test_should_make_new_keys_where_others_could_read_the_old_ones(tmp_path):
    first = token(tmp_path)
    assert token(tmp_path) == first and len(first) >= 43
    (tmp_path / "keys.json").chmod(0o640)
    second = token(tmp_path)
    assert second != first
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def token(folder) -> str:
    """What `flowforge token` says of a folder."""
    command = [sys.executable, "-m", "flowforge.cli", "token", "--state-dir", str(folder)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLOWFORGE_")}
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("headers", [{}, *FOREIGN])
def test_should_hand_no_event_to_a_stranger_and_take_no_answer_of_one(stack, headers):
    told = stack.http.get("/items/1").json()["environment"]["AWS_LAMBDA_RUNTIME_API"]
    port = told.partition("/")[0]
    for place in (port, f"{port}/guessed", f"{port}//{told.partition('/')[2]}"):
        base = f"http://{place}/2018-06-01/runtime"
        assert httpx.get(f"{base}/invocation/next", headers=headers).status_code == 403
        for what in ("invocation/any/response", "invocation/any/error", "init/error"):
            assert httpx.post(f"{base}/{what}", headers=headers, content=b'"forged"').status_code == 403
    assert stack.http.get("/items/1").json()["environment"]["AWS_LAMBDA_RUNTIME_API"] == told  # by the same worker
