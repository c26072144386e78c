"""The console's pages at `/` of a local stack: who is let in, and what a page elsewhere cannot do."""

import re
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from flowforge.cli.keys import bearer
from flowforge.console.pages import FILES

LINKED = re.compile(r'(?:href|src)="([^"]+)"')


@pytest.fixture(scope="module")
def browser(stack):
    """What a browser sends that has come with no token."""
    with httpx.Client(base_url=stack.facts["api"]) as client:
        yield client


def code(stack) -> str:
    return stack.http.post("/_local/console").json()["code"]


def enter(browser, told, **headers) -> httpx.Response:
    return browser.post("/console/session", json={"code": told}, headers=headers)


def spoken(stack, text: str) -> str:
    """The first line of the answer to bytes that no HTTP library would send."""
    address = urlsplit(stack.facts["api"])
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(text.replace("\n", "\r\n").encode())
        return caller.makefile("rb").readline().decode()


def test_should_show_its_pages_with_nothing_of_elsewhere_and_nothing_secret(stack, browser):
    pages = {path: browser.get(path) for path in FILES}
    assert {answer.status_code for answer in pages.values()} == {200}
    for answer in pages.values():
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert stack.facts["token"] not in answer.text
    assert set(LINKED.findall(pages["/"].text)) == set(FILES) - {"/"} | {"#/"}  # and itself
    assert " style=" not in pages["/"].text and "<script>" not in pages["/"].text  # the policy would refuse both


@pytest.mark.parametrize(
    "path",
    ["/console/", "/console/../keys.json", "/console/%2e%2e/own_calls.py", "/console/..%2fpages.py", "/console/static/index.html",
     "/console/console%2Ejs%00", "//console/console.js", "/index.html"],
)  # fmt: skip
def test_should_show_what_is_listed_and_no_other_file(stack, path):
    host = f"Host: {urlsplit(stack.facts['api']).netloc}"
    assert spoken(stack, f"GET {path} HTTP/1.1\n{host}\n\n").split()[1] in ("400", "401", "404")
    shown = f"Authorization: Bearer {stack.facts['token']}"
    assert spoken(stack, f"GET {path} HTTP/1.1\n{host}\n{shown}\n\n").split()[1] in ("400", "404")


def test_should_let_one_browser_in_by_each_link(stack, browser):
    told = code(stack)
    token = enter(browser, told).json()["token"]
    assert token not in (told, stack.facts["token"])
    assert enter(browser, told).status_code == 401
    answer = browser.get("/items/1", headers=bearer(token))
    assert answer.status_code == 200 and token not in answer.text
    about = browser.get("/console/about", headers=bearer(token)).json()
    assert about["api"] == stack.facts["api"]


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"code": 1}', b'{"code": "guessed"}', b'{"code": "\\ud800"}', b"[" * 9_000, b""]
)
def test_should_begin_no_session_for_anything_but_a_code(browser, body):
    answer = browser.post("/console/session", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (401, "LinkUsed")
    assert "flowforge console" in answer.json()["remedy"]


def test_should_begin_no_session_for_a_page_of_elsewhere(stack, browser):
    told = code(stack)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert enter(browser, told, **headers).status_code == 403
    assert browser.post("/console/session", content=told, headers={"Content-Type": "text/plain"}).status_code == 415
    assert browser.post("/console/session", data={"code": told}).status_code == 415
    assert enter(browser, told, Origin=stack.facts["api"]).status_code == 200


def test_should_let_no_session_use_what_is_for_programs(stack, browser):
    token = enter(browser, code(stack)).json()["token"]
    for method, path in (
        ("POST", "/_local/console"),
        ("GET", "/_local/state"),
        ("POST", "/_local/schedule/ApiNightly"),
    ):
        assert browser.request(method, path, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000", None])
@pytest.mark.parametrize("path", ["/items", "/api/workflows/w/run", "/"])
def test_should_start_nothing_for_a_form_of_any_page(stack, browser, kind, origin, path):
    """As a browser posts a form: with cookies and no header that a page may choose."""
    sent = {"Content-Type": kind, "Origin": origin, "Cookie": f"token={stack.facts['token']}"}
    headers = {name: value for name, value in sent.items() if value}
    answer = browser.post(path, content=b'{"id": "of-a-form"}', headers=headers)
    assert answer.status_code in (401, 403, 415)
    preflight = browser.options(path, headers=headers | {"Access-Control-Request-Method": "POST"})
    assert preflight.status_code in (401, 403)
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "head",
    ["Host: evil.example\nHost: {own}", "Host: {own}\nHost: evil.example", "Host: {own}\nOrigin: {url}\nOrigin: http://evil.example",
     "Host:", "Host: evil.example", "X-Forwarded-Host: {own}\nHost: evil.example"],
)  # fmt: skip
@pytest.mark.parametrize("target", ["/items/1", "{url}/items/1"])
def test_should_answer_to_no_second_name(stack, head, target):
    url = stack.facts["api"]
    lines = f"GET {target} HTTP/1.1\n{head}\nAuthorization: Bearer {stack.facts['token']}\n\n"
    answered = spoken(stack, lines.format(url=url, own=urlsplit(url).netloc)).split()[1]
    assert answered in ("400", "403")


def test_should_let_nobody_keep_or_reinterpret_an_answer(stack, browser):
    for answer in (
        stack.http.get("/items/1"),
        stack.http.get("/nothing"),
        browser.get("/items/1"),
        stack.http.get("/_local/state"),
    ):
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
