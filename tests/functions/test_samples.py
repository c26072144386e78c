"""Every sample event is understood by the function that it is named after, as `sam local invoke` would send it."""

import importlib
import json
from pathlib import Path

import pytest

from tests.helpers.commands import QUEUES

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "events" / "samples").glob("[a-z]*.json"))


@pytest.fixture(scope="module")
def lake_bucket() -> str:
    """The bucket that the samples name."""
    return "flowforge-data"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_should_be_understood_by_its_function(aws, context, monkeypatch, path):
    function, _, envelope = path.stem.partition(".")
    if function in QUEUES:
        aws.use(f"{QUEUES[function]}Queue", f"{QUEUES[function]}DeadLetters", monkeypatch)
    event = json.loads(path.read_text())
    answer = importlib.import_module(f"functions.{function}.handler").handler(event, context)
    if envelope.startswith("http"):
        body = json.loads(answer["body"]) if answer["body"] else {}
        assert answer["statusCode"] in (200, 201, 202, 204, 404, 422, 502), body
        assert body.get("error") in (None, "NotFound", "SourceUnavailable", "EndpointRefused"), body
    else:
        known = {"batchItemFailures", "status", "landed", "queued"}
        assert known & set(answer), answer


def test_should_have_a_sample_of_every_function():
    functions = {path.parent.name for path in SAMPLES[0].parents[2].glob("functions/*/handler.py")}
    assert {path.stem.partition(".")[0] for path in SAMPLES} == functions
