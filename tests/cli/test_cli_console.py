"""`flowforge console`: a link to a local stack's pages, and the pages before an API that wants signed calls."""

import re
import signal
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from flowforge.cli.keys import bearer
from tests.helpers.waiting import LIMIT_SECONDS

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-aws", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def console(flowforge, api):
    """A console before the canned API; what it prints is a link, `browser` has come by it."""
    api.answer("GET /api/runs", {"runs": []})
    flowforge.environment |= CREDENTIALS
    process = flowforge.start("console", "--sign")
    try:
        printed = process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/#code=(\S+)", printed)
        assert found, printed + process.stderr.read()
        process.url, process.code = found.groups()
        api.asked.clear()
        with httpx.Client(base_url=process.url, timeout=LIMIT_SECONDS) as browser:
            process.browser = browser
            yield process
    finally:
        process.kill()
        process.communicate()


def session(console) -> dict[str, str]:
    return bearer(console.browser.post("/console/session", json={"code": console.code}).json()["token"])


def test_should_sign_what_its_page_asks_with_the_callers_credentials(console, api):
    shown = session(console)
    api.answer("POST /api/workflows/w%201/run", {"run_id": "r"}, 202)
    answer = console.browser.post(
        "/api/workflows/w%201/run?trial=1", json={"a": 1}, headers=shown | {"Cookie": "c=1", "X-Own": "x"}
    )
    assert (answer.status_code, answer.json()) == (202, {"run_id": "r"})
    (asked,) = api.asked
    assert (asked.query, asked.document) == ({"trial": "1"}, {"a": 1})
    assert "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in asked.headers["authorization"]
    assert "/eu-west-1/execute-api/" in asked.headers["authorization"]
    assert not {"cookie", "x-own", "origin"} & set(asked.headers)
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_should_pass_refusals_on_and_tell_that_the_api_is_away(console, api):
    shown = session(console)
    refused = console.browser.get("/api/runs/none", headers=shown)
    assert (refused.status_code, refused.json()["error"]) == (404, "NotFound")
    about = console.browser.get("/console/about", headers=shown).json()
    assert (about["kind"], about["api"]) == ("deployed API", api.url)


def test_should_show_its_pages_to_any_browser_and_let_one_in(console, api):
    page = console.browser.get("/")
    assert page.status_code == 200 and page.headers["content-security-policy"].startswith("default-src 'self';")
    assert console.code not in page.text and "secret-of-aws" not in page.text
    session(console)
    assert console.browser.post("/console/session", json={"code": console.code}).status_code == 401
    assert not api.asked


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("guessed"), {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:3000"},
     {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_should_ask_the_api_nothing_for_anyone_else(console, api, headers):
    known = session(console) if set(headers) & {"Origin", "Host", "Sec-Fetch-Site"} else {}
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = console.browser.request(method, "/api/runs", headers=known | headers)
        assert answer.status_code in (401, 403)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not api.asked


def test_should_take_no_form_nothing_endless_and_no_path_out_of_the_api(console, api):
    shown = session(console)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        form = console.browser.post("/api/workflows/w/run", content=b"{}", headers=shown | {"Content-Type": kind})
        assert form.status_code == 415
    assert spoken(console, "GET /api/%2e%2e/admin HTTP/1.1", shown) == "404"
    assert spoken(console, "GET /api/../admin HTTP/1.1", shown) == "404"
    assert spoken(console, "GET /api/a%2f..%2fb HTTP/1.1", shown) == "404"
    assert spoken(console, "GET http://evil.example/api/runs HTTP/1.1", shown) == "400"
    assert spoken(console, "GET //evil.example/api/runs HTTP/1.1", shown) in ("400", "404")
    assert spoken(console, "POST /api/runs HTTP/1.1\r\nContent-Length: 99999999999", shown) == "413"
    assert spoken(console, "POST /api/runs HTTP/1.1\r\nTransfer-Encoding: chunked", shown) == "411"
    assert spoken(console, "GET /api/runs HTTP/1.1\r\nHost: evil.example", shown) == "403"
    assert not api.asked


def spoken(console, begin: str, headers: dict[str, str]) -> str:
    """The status of the answer to a call that no HTTP library would make."""
    address = urlsplit(console.url)
    lines = [begin, f"Host: {address.netloc}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall("\r\n".join(lines).encode())
        return caller.makefile("rb").readline().decode().split()[1]


def test_should_end_by_ctrl_c_with_no_complaint(console):
    console.send_signal(signal.SIGINT)
    _, complaint = console.communicate(timeout=LIMIT_SECONDS)
    assert (console.returncode, complaint) == (0, "")


def test_should_give_a_link_to_the_stack_that_runs(alone, api, stack_file):
    stack_file(token="of-the-stack")
    api.answer("POST /_local/console", {"code": "once"})
    ended = alone("console", "--json")
    assert (ended.code, ended.document) == (0, {"url": f"{api.url}/#code=once"})
    assert api.asked[0].headers["authorization"] == "Bearer of-the-stack"


def test_should_say_that_the_stack_has_no_pages(alone, api, stack_file):
    stack_file(token="of-the-stack")
    ended = alone("console")
    assert ended.code == 3 and "flowforge up" in ended.err


def test_should_say_why_the_api_is_not_to_be_had(flowforge):
    ended = flowforge("console", env=CREDENTIALS)
    assert ended.code == 1 and "nothing at /api/runs" in ended.err
