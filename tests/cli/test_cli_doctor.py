"""`flowforge doctor`: each finding with what to do, and an exit code."""

import tomllib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import boto3
import pytest

from flowforge.cli.doctor_deployment import INDEXES, OPEN_BATCHES, STATE_KEY
from flowforge.domain.version import HEADER, VERSION
from infra.local.template_text import read_yaml
from tests.helpers.aws_proxy import AwsProxy
from tests.helpers.command_line import CommandLine
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, ROOT, embedded_aws

REGION, TABLE, OTHER = "us-east-1", "state-of-doctor", "no-index"
WELL = ("api", "clock", "versions", "credentials", "conditional writes", "rights", "drift", "tables", "queues")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A store whose conditional writes are atomic, with a bucket, a watermark table and one without its index."""
    with embedded_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        client("s3", url).create_bucket(Bucket="lake-of-doctor")
        declared = read_yaml((ROOT / "template.yaml").read_text())["Resources"]["Watermarks"]["Properties"]
        kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        wanted = {name: declared[name] for name in kept}
        client("dynamodb", url).create_table(TableName=TABLE, **wanted)
        keys = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        del wanted["GlobalSecondaryIndexes"]
        client("dynamodb", url).create_table(TableName=OTHER, **wanted | {"AttributeDefinitions": keys})
        yield url


def client(service, url):
    return boto3.client(service, endpoint_url=url, region_name=REGION, **AWS_KEYS)


@pytest.fixture
def healthy(api):
    api.headers = {HEADER: VERSION}
    api.answer("GET /api/runs", {"runs": []})
    api.answer("GET /api/watermarks", {"watermarks": [{"id": "a", "bronze_table": "b"}]})
    api.answer("GET /api/dead-letters", {"messages": [], "more": False, "failed": []})


def states(ended) -> dict[str, str]:
    assert [one for one in ended.document["findings"] if (one["state"] == "good") == bool(one["remedy"])] == []
    return {one["what"]: one["state"] for one in ended.document["findings"]}


def test_should_find_all_well(alone, stack_file, healthy, s3):
    stack_file(s3=s3, bucket="lake-of-doctor", watermarks_table=TABLE)
    ended = alone("doctor", "--json")
    assert ended.code == 0, ended.out + ended.err
    assert states(ended) == dict.fromkeys(WELL, "good")
    assert "one wins" in alone("doctor").out


def test_should_say_what_is_wrong_and_what_to_do(alone, stack_file, healthy, api, s3):
    letter = {"queue": "ingest", "table": "t", "run_id": "r", "reason": "x", "id": "i", "at": 1, "age_seconds": 1}
    unread = {"queue": "refine", "problem": "SQS: access denied"}
    api.answer("GET /api/dead-letters", {"messages": [letter] * 2, "more": False, "failed": [unread]})
    broken = {"id": "k7", "bronze_table": "b", "problem": "the state of b cannot be read"}
    api.answer("GET /api/watermarks", {"watermarks": [broken]})
    with AwsProxy(s3) as proxy:
        proxy.dropped = {"PUT": ("If-None-Match",)}
        stack_file(s3=proxy.url, bucket="lake-of-doctor", watermarks_table=TABLE)
        ended = alone("doctor", "--json")
    assert ended.code == 1
    changed = {"conditional writes": "bad", "tables": "bad", "queues": "warning"}
    assert states(ended) == dict.fromkeys(WELL, "good") | changed
    told = {one["what"]: f"{one['finding']} {one['remedy']}" for one in ended.document["findings"]}
    assert findings(ended, "queues")[0].startswith("bad: refine: SQS: access denied | Look at the queue")
    assert "ignores If-None-Match" in told["conditional writes"] and "Use a store" in told["conditional writes"]
    assert (
        "cannot be read" in told["tables"] and "2 given up" in told["queues"] and "flowforge replay" in told["queues"]
    )


def test_should_go_on_where_one_thing_cannot_be_told(alone, stack_file, healthy):
    stack_file(bucket="lake-of-doctor")  # nothing listens at its S3
    ended = alone("doctor", "--json")
    assert ended.code == 1
    found = states(ended)
    assert (found["credentials"], found["conditional writes"], found["queues"]) == ("bad", "bad", "good")


def findings(ended, what: str) -> list[str]:
    return [
        f"{one['state']}: {one['finding']} | {one['remedy']}"
        for one in ended.document["findings"]
        if one["what"] == what
    ]


def test_should_find_a_wrong_clock_another_version_and_a_table_without_its_index(alone, stack_file, healthy, api, s3):
    then = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    api.headers = {"Date": then, HEADER: "0.0.9"}
    stack_file(s3=s3, bucket="lake-of-doctor", watermarks_table=OTHER)
    ended = alone("doctor", "--json")
    assert ended.code == 1
    ((clock,), (versions,), (drift, files)) = (findings(ended, what) for what in ("clock", "versions", "drift"))
    assert clock.startswith("bad: this machine is 7,2") and "s ahead of the API" in clock and "NTP" in clock
    assert versions.startswith(f"warning: this command is of version {VERSION}, and /api/runs 0.0.9")
    assert drift.startswith(f"bad: {OTHER} has no index {OPEN_BATCHES}") and "sam deploy" in drift
    assert files.startswith(f"bad: {OTHER} has no index listed-files") and "sam deploy" in files


def test_should_say_which_right_is_missing(alone, stack_file, healthy, s3):
    stack_file(s3=s3, bucket="lake-of-doctor", watermarks_table="not-there")
    ended = alone("doctor", "--json")
    assert ended.code == 1
    listed, read = findings(ended, "rights")
    assert listed == "good: can list silver/ of lake-of-doctor | "
    assert read.startswith("bad: cannot read table not-there: ") and "Give these AWS credentials the right" in read
    assert findings(ended, "drift")[0].startswith("warning: cannot be told")


def test_should_find_where_a_deployment_is_not_as_the_template_says(tmp_path, alone, healthy, api, s3):
    named = {"FLOWFORGE_BUCKET": "lake-of-doctor", "FLOWFORGE_WATERMARKS_TABLE": TABLE, "FLOWFORGE_API_URL": api.url}
    where = {"AWS_ENDPOINT_URL": s3, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    environment = alone.environment | AWS_VARIABLES | named | where
    deployed = CommandLine(tmp_path, environment)
    ended = deployed("doctor", "--json")
    assert ended.code == 1
    assert [text.partition(" | ")[0] for text in findings(ended, "drift")] == [
        "bad: lake-of-doctor tells EventBridge nothing: files dropped in it start no run",
        "bad: lake-of-doctor does not block public access",
        f"bad: {TABLE} cannot be restored to a moment",
    ]
    bucket = {"Bucket": "lake-of-doctor"}
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    closed = dict.fromkeys(blocked, True)
    client("s3", s3).put_public_access_block(**bucket, PublicAccessBlockConfiguration=closed)
    kept = {"PointInTimeRecoveryEnabled": True}
    client("dynamodb", s3).update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=kept)
    (left,) = findings(deployed("doctor", "--json"), "drift")
    assert "tells EventBridge nothing" in left  # which moto would not tell again, were it mended


def test_should_compare_with_what_is_declared():
    table = read_yaml((ROOT / "template.yaml").read_text())["Resources"]["Watermarks"]["Properties"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == STATE_KEY
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == list(INDEXES)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
