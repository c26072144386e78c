"""The embedded AWS records which rights each function's calls need, and permissions are compared with them."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.needed_rights import FOLDER, LEADING_KEYS, PREFIX, Right
from infra.local.template import ACCOUNT, REGION, expand
from tests.helpers.permissions import Grant, Statement, compared, grants, holds, like, recorded, roles
from tests.helpers.permissions_kept import KEPT
from tests.helpers.servers import AWS_KEYS, ROOT, embedded_aws

BUCKET, TABLE = "arn:aws:s3:::lake", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/state"
FUNCTION = "SomeFunction"
MOST_MANAGED, MOST_CHARACTERS = 10, 10_240


@pytest.fixture(scope="module")
def needed(tmp_path_factory) -> dict[tuple[str, str], Right]:
    """What calls of a function need, by action and resource; the calls of one that has no name are not recorded."""
    folder = tmp_path_factory.mktemp("rights")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(FOLDER, str(folder))
        with embedded_aws(folder / "log") as url:
            environment.setenv("AWS_ENDPOINT_URL", url)
            environment.setenv("AWS_DEFAULT_REGION", REGION)
            make()
            environment.setenv("AWS_SDK_UA_APP_ID", FUNCTION)
            call()
    found = list(recorded(folder))
    assert {caller for caller, _ in found} == {FUNCTION}
    return {(right.action, right.resource): right for _, right in found}


def make() -> None:
    boto3.client("s3", **AWS_KEYS).create_bucket(Bucket="lake")
    boto3.client("sqs", **AWS_KEYS).create_queue(QueueName="work")
    names = [{"AttributeName": "pk", "AttributeType": "S"}]
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    boto3.client("dynamodb", **AWS_KEYS).create_table(
        TableName="state", AttributeDefinitions=names, KeySchema=keys, BillingMode="PAY_PER_REQUEST"
    )


def call() -> None:
    s3, sqs, dynamodb = (boto3.client(name, **AWS_KEYS) for name in ("s3", "sqs", "dynamodb"))
    s3.put_object(Bucket="lake", Key="bronze/t/a b.parquet", Body=b"x")
    s3.list_objects_v2(Bucket="lake", Prefix="bronze/t/")
    s3.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "bronze/t/a b.parquet"}]})
    with pytest.raises(ClientError):
        s3.get_object(Bucket="lake", Key="silver/gone")
    upload = {
        "Bucket": "lake",
        "Key": "gold/t",
        "UploadId": s3.create_multipart_upload(Bucket="lake", Key="gold/t")["UploadId"],
    }
    s3.abort_multipart_upload(**upload)
    url = sqs.get_queue_url(QueueName="work")["QueueUrl"]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "{}"}])
    item = {"TableName": "state", "Item": {"pk": {"S": "JOB#a"}}}
    gone = {"TableName": "state", "Key": {"pk": {"S": "other"}}}
    dynamodb.transact_write_items(TransactItems=[{"Put": item}, {"Delete": gone}])
    secrets = boto3.client("secretsmanager", **AWS_KEYS)
    secrets.create_secret(Name="flowforge/inline/1", SecretString="x")
    boto3.client("events", **AWS_KEYS).put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}"}])


def test_should_record_what_each_call_needs(needed):
    assert needed["s3:PutObject", f"{BUCKET}/bronze/t/a b.parquet"].context == {}
    assert needed["s3:DeleteObject", f"{BUCKET}/bronze/t/a b.parquet"]
    assert needed["s3:PutObject", f"{BUCKET}/gold/t"] and needed["s3:AbortMultipartUpload", f"{BUCKET}/gold/t"]
    assert needed["sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:work"]
    assert needed["dynamodb:PutItem", TABLE].context == {LEADING_KEYS: "JOB#a"}
    assert needed["dynamodb:DeleteItem", TABLE].context == {LEADING_KEYS: "other"}
    assert needed["secretsmanager:CreateSecret", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:flowforge/inline/1"]
    assert needed["events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"]


def test_should_need_to_list_where_an_object_may_not_be_there(needed):
    """Without it S3 answers 403 in place of 404; the request names no prefix."""
    assert needed["s3:GetObject", f"{BUCKET}/silver/gone"]
    assert needed["s3:ListBucket", BUCKET].context == {}


def test_should_tell_what_is_missing_and_what_is_idle():
    def allow(action: str, resource: str, *condition: tuple[str, str, tuple[str, ...]]) -> Statement:
        return Statement("Allow", (action,), (resource,), condition)

    listing = allow("s3:ListBucket", BUCKET, ("StringLike", PREFIX, ("silver/*", "gold/*")))
    keep_out = Statement("Deny", ("s3:*",), (f"{BUCKET}/secret/*",), ())
    allowed = {
        FUNCTION: [allow("s3:GetObject", f"{BUCKET}/*"), allow("s3:PutObject", f"{BUCKET}/*"), listing, keep_out]
    }
    done = [
        Right("s3:GetObject", f"{BUCKET}/silver/a", {}),
        Right("s3:GetObject", f"{BUCKET}/secret/a", {}),
        Right("s3:ListBucket", BUCKET, {PREFIX: "silver/t/"}),
        Right("s3:ListBucket", BUCKET, {PREFIX: "bronze/"}),
        Right("s3:ListBucket", BUCKET, {}),
    ]
    missing, idle = compared(allowed, [(FUNCTION, right) for right in done])
    assert missing == [
        f"{FUNCTION}: s3:GetObject on {BUCKET}/secret/a",
        f"{FUNCTION}: s3:ListBucket on {BUCKET}",
        f"{FUNCTION}: s3:ListBucket on {BUCKET} {{'{PREFIX}': 'bronze/'}}",
    ]
    assert idle == [
        Grant(FUNCTION, "s3:ListBucket", BUCKET, "gold/*"),
        Grant(FUNCTION, "s3:PutObject", f"{BUCKET}/*", ""),
    ]


def test_should_judge_no_condition_that_it_does_not_know():
    with pytest.raises(ValueError, match="IpAddress of aws:SourceIp"):
        holds("IpAddress", "aws:SourceIp", ("10.0.0.0/8",), {})


@pytest.fixture(scope="module")
def allowed() -> dict[str, list[Statement]]:
    return roles(expand(ROOT / "template.yaml", {}))


def test_should_allow_no_function_any_action_or_resource_at_all(allowed):
    for function, statements in allowed.items():
        given = [one for one in statements if one.effect == "Allow"]
        assert given, function
        for one in given:
            assert not [action for action in one.actions if action == "*" or action.endswith(":*")], function
            assert "*" not in one.resources, function


def test_should_let_record_lineage_alone_read_the_receivers_key(allowed):
    key = Right(
        "secretsmanager:GetSecretValue",
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:flowforge/lineage/x-AbCdEf",
        {},
    )
    readers = [
        function
        for function, statements in allowed.items()
        if {"Allow"} == {one.effect for one in statements if one.applies(key)}
    ]
    assert readers == ["RecordLineageFunction"]


def test_should_let_who_reads_a_queue_show_its_messages_again(allowed):
    """A failed attempt is to come again in seconds; without the right only after the queue's visibility timeout."""
    template = expand(ROOT / "template.yaml", {})
    for name, resource in template.resources.items():
        told = resource["Properties"].get("Environment", {}).get("Variables", {}).get("FLOWFORGE_QUEUE_URL")
        if told:
            queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:flowforge-{told['Ref']}"
            assert any(one.applies(Right("sqs:ChangeMessageVisibility", queue, {})) for one in allowed[name]), name


def test_should_keep_no_reason_for_a_permission_that_is_gone(allowed):
    given = [
        grant
        for name, found in allowed.items()
        for one in found
        if one.effect == "Allow"
        for grant in grants(name, one)
    ]
    for function, action, resource, why in KEPT:
        assert why
        assert any(
            like(function, one.function)
            and like(action, one.action)
            and like(resource, f"{one.resource} {one.pattern}")
            for one in given
        ), (function, action, resource)


def test_should_keep_within_the_policies_that_a_role_may_have():
    """IAM's quotas: ten managed policies, those that SAM adds included, and 10,240 characters of others."""
    resources = expand(ROOT / "template.yaml", {}).resources
    roles_of_functions = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert len(roles_of_functions) > 10
    for name, role in roles_of_functions.items():
        assert len(role["ManagedPolicyArns"]) <= MOST_MANAGED, name
        assert len(json.dumps(role.get("Policies", []))) <= MOST_CHARACTERS, name
