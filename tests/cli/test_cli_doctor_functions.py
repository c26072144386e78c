"""`flowforge doctor` on functions that are deployed: where they are not as the template declares them, and what to do."""

import io
import json
import re
import zipfile
from typing import Any

import boto3
import pytest

from flowforge.cli.doctor_functions import DECLARED, TABLE
from infra.aws import declared
from infra.local.template import ACCOUNT, REGION
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.command_line import CommandLine
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, embedded_aws

STATE, BUCKET, LAKE = "state-of-functions", "lake-of-functions", "FLOWFORGE_BUCKET"
OWN_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STATE}"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def client(service, url):
    return boto3.client(service, endpoint_url=url, region_name=REGION, **AWS_KEYS)


def policy(rights: dict[str, list[str]]) -> str:
    """Allows each resource's actions; {Watermarks} and the like are called so, but for table and bucket."""
    own = {"Watermarks": STATE, "LakeBucketName": BUCKET, "partition": "aws", "region": REGION, "account": ACCOUNT}
    named = {re.sub(r"\{(\w+)\}", lambda m: own.get(m[1], m[1]), one): actions for one, actions in rights.items()}
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": one} for one, actions in named.items()]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """An AWS with every function as it is declared."""
    with embedded_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        client("s3", url).create_bucket(Bucket=BUCKET)
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as file:
            file.writestr("empty.py", "")
        for handler, wanted in json.loads(DECLARED.read_text()).items():
            deploy(url, handler, wanted, code.getvalue())
        yield url


def deploy(url: str, handler: str, wanted: dict, code: bytes) -> None:
    """The function, its role with a policy of its own and a shared one, and its queues."""
    name, trust = f"{handler.split('.')[1]}-1A2B", json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    iam, functions, sqs = (client(service, url) for service in ("iam", "lambda", "sqs"))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    names = {one: f"https://sqs/{ACCOUNT}/{named}" for one, named in wanted["names"].items()}
    rights = list(wanted["rights"].items())
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(dict(rights[:1])))
    shared = iam.create_policy(PolicyName=name, PolicyDocument=policy(dict(rights[1:])))
    iam.attach_role_policy(RoleName=name, PolicyArn=shared["Policy"]["Arn"])
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler=handler,
        Code={"ZipFile": code},
        MemorySize=wanted["memory_mb"],
        Timeout=wanted["timeout_seconds"] or 600,
        Environment={"Variables": dict.fromkeys(wanted["variables"], "x") | names | {TABLE: STATE, LAKE: BUCKET}},
    )
    for queue in wanted["queues"]:
        made = sqs.create_queue(QueueName=name)["QueueUrl"]
        functions.create_event_source_mapping(
            EventSourceArn=sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["QueueArn"])["Attributes"][
                "QueueArn"
            ],
            FunctionName=name,
            BatchSize=queue["batch"] or 7,
            FunctionResponseTypes=queue["answers"],
            ScalingConfig={"MaximumConcurrency": queue["at_once"] or 7},
        )


def change(iam: Any, role: str, resource: str, rights: dict[str, list[str]]) -> None:
    """Gives a role other rights in the place of those on a declared resource."""
    declared_rights = json.loads(DECLARED.read_text())[f"functions.{role.partition('-')[0]}.handler.handler"]["rights"]
    kept = {one: actions for one, actions in declared_rights.items() if one != resource}
    (attached,) = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    iam.detach_role_policy(RoleName=role, PolicyArn=attached["PolicyArn"])
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=policy(kept | rights))


@pytest.fixture
def doctor(tmp_path, alone, api):
    """Asks a deployment whose AWS is at an address; returns what was found of functions."""
    api.answer("GET /api/runs", {"runs": []})
    api.answer("GET /api/watermarks", {"watermarks": []})
    api.answer("GET /api/dead-letters", {"messages": [], "more": False, "failed": []})

    def ask(url: str) -> list[str]:
        named = {"FLOWFORGE_BUCKET": BUCKET, "FLOWFORGE_WATERMARKS_TABLE": STATE, "FLOWFORGE_API_URL": api.url}
        where = {"AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        ended = CommandLine(tmp_path, alone.environment | AWS_VARIABLES | named | where)("doctor", "--json")
        found = [one for one in ended.document["findings"] if one["what"] == "functions"]
        return [f"{one['state']}: {one['finding']} | {one['remedy']}" for one in found]

    return ask


def test_should_find_functions_as_they_are_declared_and_each_change_made_by_hand(doctor, aws):
    (well,) = doctor(aws)
    assert well.startswith("good: 17 are as the template declares them")
    functions, iam = client("lambda", aws), client("iam", aws)
    told = functions.get_function_configuration(FunctionName="track_run-1A2B")["Environment"]["Variables"]
    kept = {key: text for key, text in told.items() if key != "FLOWFORGE_RUNS_TABLE"} | {"FLOWFORGE_DEBUG": "1"}
    functions.update_function_configuration(FunctionName="track_run-1A2B", Environment={"Variables": kept})
    functions.update_function_configuration(FunctionName="refine_silver-1A2B", MemorySize=1024)
    functions.delete_function(FunctionName="replay-1A2B")
    (mapping,) = functions.list_event_source_mappings(FunctionName="ingest_table-1A2B")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    (other,) = functions.list_event_source_mappings(FunctionName="watermark-1A2B")["EventSourceMappings"]
    functions.delete_event_source_mapping(UUID=other["UUID"])
    iam.delete_role_policy(RoleName="list_tables-1A2B", PolicyName="own")
    iam.put_role_policy(
        RoleName="connections-1A2B", PolicyName="more", PolicyDocument=policy({"arn:aws:s3:::x": ["s3:*"]})
    )
    anything = policy({"*": ["sqs:SendMessage"]})
    iam.put_role_policy(RoleName="schedules-1A2B", PolicyName="more", PolicyDocument=anything)
    elsewhere = {"arn:aws:s3:::another-lake/bronze/*": ["s3:GetObject", "s3:DeleteObject"]}
    change(iam, "watermark-1A2B", "arn:{partition}:s3:::{LakeBucketName}/bronze/*", elsewhere)
    state = "arn:{partition}:dynamodb:{region}:{account}:table/{Watermarks}"
    change(
        iam,
        "publish_gold-1A2B",
        state,
        {f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/other": ["dynamodb:*Item", "dynamodb:Query"]},
    )
    hour = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}]}  # fmt: skip
    iam.put_role_policy(RoleName="send_alerts-1A2B", PolicyName="more", PolicyDocument=json.dumps(hour))
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=policy({"*": ["s3:*"]}))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="describe_table-1A2B", PermissionsBoundary=boundary)
    found = doctor(aws)
    for expected in (
        "bad: describe_table-1A2B may not secretsmanager:",
        "warning: send_alerts-1A2B may not dynamodb:",
        "bad: functions.replay.handler.handler is not there | Deploy template.yaml",
        "bad: track_run-1A2B lacks the variable FLOWFORGE_RUNS_TABLE | ",
        "warning: track_run-1A2B has the variable FLOWFORGE_DEBUG, which the template does not give it | ",
        "bad: refine_silver-1A2B has MemorySize 1,024 MB, the template 3,008 | ",
        "bad: ingest_table-1A2B does not listen to ingest_table-1A2B: its mapping is disabled | Enable it: aws lambda",
        "bad: watermark-1A2B listens to 0 queues of 1 | ",
        "bad: list_tables-1A2B may not ",
        f"bad: watermark-1A2B may not s3:DeleteObject, s3:GetObject on arn:aws:s3:::{BUCKET}/bronze/* | ",
        f"bad: publish_gold-1A2B may not dynamodb:GetItem, dynamodb:Query, dynamodb:UpdateItem on {OWN_TABLE} | ",
        "warning: schedules-1A2B may do this on every resource of the account: sqs:SendMessage | ",
        "warning: connections-1A2B may do more than it needs: s3:* | ",
    ):
        assert [one for one in found if one.startswith(expected)], (expected, found)
    of_roles = ("describe_table-1A2B", "send_alerts-1A2B")
    assert len([one for one in found if not one.partition(": ")[2].startswith(of_roles)]) == 11
    assert "where a condition on aws:CurrentTime fits | Conditions are not evaluated" in str(found)
    assert f"the permissions boundary of its role does not allow it | Have it allowed by {boundary}" in str(found)


def test_should_note_what_it_may_not_look_at(doctor, aws):
    def refuse(call: Call) -> Fault | None:
        return Fault("instead", status=403, code="AccessDeniedException") if "/functions" in call.path else None

    with AwsProxy(aws) as proxy, proxy.ruled_by(refuse):
        (note,) = doctor(proxy.url)
    assert note.startswith("warning: cannot be told: ") and "lambda:ListFunctions" in note


def test_should_be_written_anew_after_a_change_of_the_template():
    assert DECLARED.read_text() == declared.text(), "run python -m infra.aws.declared"
