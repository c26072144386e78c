"""What a local stack holds is for programs of this machine: no web page reads or starts anything, under whatever name it asks."""

import httpx
import pytest

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
    assert answer.status_code == 403
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
