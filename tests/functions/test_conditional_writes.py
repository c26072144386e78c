"""A store that ignores the conditions of a write is found before anything is loaded into it."""

import boto3
import pytest

from flowforge.aws import items
from flowforge.aws.conditional_writes import STORE, prove, prove_once, race
from flowforge.domain.errors import UnfitStore
from flowforge.runtime.settings import settings
from tests.helpers.aws_proxy import AwsProxy

LOOSE = [
    pytest.param({"PUT": ("If-None-Match",)}, "PUT went over an object", id="PUT with If-None-Match"),
    pytest.param({"PUT": ("If-Match",)}, "ignores If-Match", id="PUT with If-Match"),
    pytest.param({"POST": ("If-None-Match",)}, "multipart upload is completed", id="completion"),
]


@pytest.fixture
def proxy(aws):
    with AwsProxy(aws.endpoint) as found:
        yield found


@pytest.fixture
def s3(proxy):
    return boto3.client("s3", endpoint_url=proxy.url)


@pytest.mark.parametrize(("dropped", "told"), LOOSE)
def test_should_refuse_a_store_that_ignores_a_condition(aws, proxy, s3, dropped, told):
    prove(s3, aws.name("Lake"))
    proxy.dropped = dropped
    with pytest.raises(UnfitStore, match=told) as caught:
        prove(s3, aws.name("Lake"))
    assert proxy.url in str(caught.value) and "If-None-Match and If-Match" in caught.value.remedy


def test_should_refuse_a_store_where_two_writers_win(aws, proxy, s3):
    race(s3, aws.name("Lake"))
    proxy.dropped = {"PUT": ("If-None-Match",)}
    with pytest.raises(UnfitStore, match="4 of 4 writers created one key"):
        race(s3, aws.name("Lake"))


def test_should_prove_a_store_once_and_leave_no_upload_behind(aws, proxy, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    prove_once(aws.name("Lake"))
    assert items.get(settings().watermarks_table, {"pk": STORE, "sk": f"{proxy.url}/{aws.name('Lake')}"})
    tried = sum(len(calls) for calls in proxy.calls.values())
    prove_once(aws.name("Lake"))
    assert sum(len(calls) for calls in proxy.calls.values()) == tried
    assert "Uploads" not in aws.client("s3").list_multipart_uploads(Bucket=aws.name("Lake"))
    monkeypatch.undo()


def test_should_claim_nothing_on_a_store_that_ignores_conditions(loads):
    load = loads()
    load.proxy.dropped = {"PUT": ("If-None-Match",)}
    with pytest.raises(UnfitStore):
        load.load("first")
    assert load.states() == []
    load.proxy.dropped = {}
    assert [fact.records for fact in load.load("second")] == [3]
