"""The local API under what Schemathesis makes of its description, and under what attackers send: no 500, answers as described.

Schemathesis has an environment of its own, `.venv-fuzz`, which `make test-api` makes. What it sends is the same each time.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.servers import ROOT
from tests.helpers.stack import BRIEF, Stack
from tests.helpers.waiting import LIMIT_SECONDS

SCHEMATHESIS = ROOT / ".venv-fuzz" / "bin" / "st"
EXAMPLES = 12  # for each operation
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
NOWHERE = "SourceNetworks=192.0.2.0/24"  # RFC 5737: no host is there, so no address that is drawn is gone to
# A source that cannot be reached is 502, a store or queue that is not there 503: these are told of, 500 never is.
SETTINGS = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "502", "503"]\n'
FIELDS = 350_000  # unknown ones: about as many as a body may hold
RUN = "/api/workflows/w/run"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("fuzzed"), BRIEF, "--no-sqlserver", "--parameter", NOWHERE)
    try:
        yield running
    finally:
        running.stop()


def test_should_answer_what_its_description_says(stack, tmp_path: Path):
    if not SCHEMATHESIS.exists():
        pytest.skip("no .venv-fuzz: `make test-api` makes it")
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    document = str(ROOT / "docs" / "schemas" / "openapi.json")
    options = {
        "--url": stack.facts["api"],
        "--header": f"Authorization: Bearer {stack.facts['token']}",
        "--phases": "fuzzing",
        "--checks": CHECKS,
        "--max-examples": str(EXAMPLES),
        "--request-timeout": str(LIMIT_SECONDS),
        "--suppress-health-check": "all",
    }
    flags = ["--generation-deterministic", "--continue-on-failure", "--no-color"]
    command = [str(SCHEMATHESIS), "run", document, *flags, *(part for option in options.items() for part in option)]
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    statuses = {stack.http.get("/api/connections").status_code, stack.http.get("/api/runs").status_code}
    assert statuses == {200}  # so what was refused was not refused for its token


@pytest.mark.parametrize(
    "part", ["%2F", "%00", "%22", "%23", "%3F", "%F0%9F%98%80", "%0A", "%ED%A0%80", "..%2F..%2Fetc"]
)
@pytest.mark.parametrize("path", ["/api/runs/{}", "/api/watermarks/{}", "/api/silver/{}/schema", "/api/tables/{}"])
def test_should_refuse_a_name_that_is_none(stack, path, part):
    answer = stack.http.get(path.format(f"a{part}"))
    assert answer.status_code in (400, 404, 422), answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "query",
    [{"limit": "9" * 4_400}, {"limit": "٣"}, {"cursor": "é" * 9_000}, {"workflow_id": "\0"}, {"limit": "1e400"}],
)
def test_should_answer_a_question_however_it_is_asked(stack, query):
    assert stack.http.get("/api/runs", params=query).status_code in (200, 400, 414)


BODIES = {
    "deep": "[" * 1_100 + "]" * 1_100,
    "deep objects": '{"a":' * 1_100 + "1" + "}" * 1_100,
    "half a character": '{"workflow_id": "\\ud800"}',
    "unknown fields": "{" + ",".join(f'"f{n}":0' for n in range(FIELDS)) + "}",
    "mistakes in many places": '{"source_config": {"databaseConfig": {"tables": [' + ",".join(["{}"] * 90_000) + "]}}}",
    "a number of many digits": '{"a": ' + "9" * 5_000 + "}",
    "no number": '{"a": NaN}',
    "no text": b"\xff\xfe\x00",
    "a field twice": '{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", [RUN, "/api/connections", "/api/database/tables", "/api/sql"])
def test_should_refuse_a_body_that_is_none_and_tell_few_of_its_mistakes(stack, path, body):
    answer = stack.http.post(path, content=BODIES[body], headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert 0 < len(answer.json()["mistakes"]) <= 101
    assert len(answer.content) < 100_000
