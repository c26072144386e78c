"""What the template says of a queue in several places agrees; what functions share is said once."""

import json
import re
from collections import defaultdict
from typing import Any

import pytest

from infra.aws.package import GROUPS
from infra.local.intrinsics import Intrinsics
from infra.local.template import expand
from infra.local.template_text import read_yaml
from tests.helpers.servers import ROOT

TEMPLATE = read_yaml((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = {name: found for name, found in RESOURCES.items() if found["Type"] == "AWS::Serverless::Function"}
QUEUES = sorted(name.removesuffix("Queue") for name in RESOURCES if name.endswith("Queue"))
ORDERED_AGAIN = {"Upkeep"}  # the next day's order does what a given-up one would have done
WORKER_MEGABYTES = 1769  # from there on a function is one that moves data

RECEIVED = {"RecordLineageFunction", "SendAlertsFunction"}  # what they send goes to receivers of the user's own
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def value(property_: Any) -> Any:
    """A number, or the default of the parameter that it refers to."""
    return TEMPLATE["Parameters"][property_["Ref"]]["Default"] if isinstance(property_, dict) else property_


def arn(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, "Arn"]}


def reader_of(queue: str) -> tuple[str, dict[str, Any]]:
    """The one function that reads a queue, and its properties."""
    (found,) = [
        (name, function["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function["Properties"]["Events"].values()
        if event["Properties"].get("Queue") in (arn(f"{queue}Queue"), f"{queue}Queue.Arn")
    ]
    return found


@pytest.mark.parametrize("queue", QUEUES)
def test_should_tell_a_function_which_queue_and_dead_letters_are_its_own(queue):
    name, function = reader_of(queue)
    told = function["Environment"]["Variables"]
    assert told["FLOWFORGE_QUEUE_URL"] == {"Ref": f"{queue}Queue"}, name
    assert told["FLOWFORGE_DEAD_LETTER_QUEUE_URL"] == {"Ref": f"{queue}DeadLetters"}, name
    redrive = RESOURCES[f"{queue}Queue"]["Properties"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] in (arn(f"{queue}DeadLetters"), f"{queue}DeadLetters.Arn")


@pytest.mark.parametrize("queue", QUEUES)
def test_should_hide_a_message_for_longer_than_its_function_may_run(queue):
    _, function = reader_of(queue)
    limit = value(function.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]))
    assert value(RESOURCES[f"{queue}Queue"]["Properties"]["VisibilityTimeout"]) >= limit + 30


@pytest.mark.parametrize(("receiver", "seconds_each"), [("", 0), ("https://lineage.example.com", 10)])
def test_should_give_record_lineage_no_more_at_once_than_a_receiver_that_hangs_leaves_time_for(receiver, seconds_each):
    mappings = deployed("AWS::Lambda::EventSourceMapping", LineageEndpoint=receiver).values()
    (mapping,) = [one for one in mappings if "RecordLineageFunction" in str(one["FunctionName"])]
    assert mapping["BatchSize"] * seconds_each < FUNCTIONS["RecordLineageFunction"]["Properties"]["Timeout"]
    assert mapping["BatchSize"] == (5 if receiver else 50)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_should_let_every_queue_be_replayed_that_is_not_ordered_again():
    told = FUNCTIONS["ReplayFunction"]["Properties"]["Environment"]["Variables"]["FLOWFORGE_REPLAY_QUEUES"]["Fn::Sub"]
    pairs = re.findall(r"\$\{(\w+)DeadLetters\}>\$\{(\w+)Queue\}", told)
    assert all(dead == living for dead, living in pairs)
    assert {living for _, living in pairs} == set(QUEUES) - ORDERED_AGAIN


def test_should_answer_reading_requests_without_a_worker_that_moves_data():
    routes = [
        (event["Properties"]["Path"], function["Properties"].get("MemorySize", 0))
        for function in FUNCTIONS.values()
        for event in function["Properties"]["Events"].values()
        if event["Properties"].get("Method") == "GET"
    ]
    assert len(routes) > 10
    assert [path for path, megabytes in routes if megabytes >= WORKER_MEGABYTES] == []


def test_should_share_no_statement_by_copying_it():
    """What two functions may do alike is a managed policy, so that a change of it reaches both."""
    own = [
        (name, str(statement))
        for name, function in FUNCTIONS.items()
        for policy in function["Properties"]["Policies"]
        for statement in policy.get("Statement", [])
    ]
    texts = [text for _, text in own]
    assert [name for name, text in own if texts.count(text) > 1] == []


def test_should_let_every_queue_be_reached_over_tls_only_and_from_this_stacks_rules():
    policies = [found["Properties"] for found in RESOURCES.values() if found["Type"] == "AWS::SQS::QueuePolicy"]
    named = [queue["Ref"] for policy in policies for queue in policy["Queues"]]
    assert sorted(named) == sorted(name for name, found in RESOURCES.items() if found["Type"] == "AWS::SQS::Queue")
    for policy in policies:
        statements = policy["PolicyDocument"]["Statement"]
        (deny,) = [one for one in statements if one["Effect"] == "Deny"]
        assert (deny["Action"], deny["Condition"]) == ("sqs:*", {"Bool": {"aws:SecureTransport": False}})
        for allow in (one for one in statements if one["Effect"] == "Allow"):
            of_bus, *others = allow["Condition"]["ArnLike"]["aws:SourceArn"]
            assert of_bus["Fn::Sub"].endswith(":rule/${AWS::StackName}-events/*")
            rules = [name for name, found in RESOURCES.items() if found["Type"] == "AWS::Events::Rule"]
            of_default = [name for name in rules if "EventBusName" not in RESOURCES[name]["Properties"]]
            assert sorted(one["Fn::GetAtt"][0] for one in others) == sorted(of_default)


def test_should_let_every_queue_be_sent_to_whose_rule_has_it_as_its_target():
    targets = [
        place["Fn::GetAtt"]
        for found in RESOURCES.values()
        if found["Type"] == "AWS::Events::Rule"
        for target in found["Properties"]["Targets"]
        for place in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn"))
        if place
    ]
    reached = {(place if isinstance(place, str) else ".".join(place)).removesuffix(".Arn") for place in targets}
    allowed = {queue["Ref"] for queue in RESOURCES["QueuesOfRules"]["Properties"]["Queues"]}
    assert reached == allowed


def test_should_be_able_to_restore_every_table_to_any_moment():
    tables = [found["Properties"] for found in RESOURCES.values() if found["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == 4
    assert all(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] for table in tables)


def test_should_keep_tables_and_lake_whoever_deletes_or_replaces_them():
    kept = [found for found in RESOURCES.values() if found["Type"] in ("AWS::DynamoDB::Table", "AWS::S3::Bucket")]
    assert len(kept) == 5
    assert {one["UpdateReplacePolicy"] for one in kept} == {"Retain"}
    # A bucket has a fixed name, so one that a failed first deployment leaves would be in the way of the next.
    assert {one["DeletionPolicy"] for one in kept} == {"Retain", "RetainExceptOnCreate"}
    tables = [found["Properties"] for found in kept if found["Type"] == "AWS::DynamoDB::Table"]
    assert all(table["DeletionProtectionEnabled"] == {"Fn::If": ["Protected", True, False]} for table in tables)
    assert TEMPLATE["Parameters"]["DeletionProtection"]["Default"] == "true"


def deployed(kind: str, **parameters: str) -> dict[str, dict[str, Any]]:
    """The resources of one kind that a deployment with given parameters has, by logical id: their properties."""
    template = expand(ROOT / "template.yaml", parameters)
    intrinsics = Intrinsics(template, "flowforge", lambda logical: (logical, defaultdict(lambda: logical)))
    return {
        logical: intrinsics.resolve(found["Properties"])
        for logical, found in template.resources.items()
        if found["Type"] == kind and ("Condition" not in found or intrinsics.condition(found["Condition"]))
    }


def lake(**parameters: str) -> dict[str, Any] | None:
    """The lake's bucket with given parameters, or None where the template makes none."""
    return deployed("AWS::S3::Bucket", **parameters).get("Lake")


def test_should_leave_the_lakes_versions_as_they_are_until_it_is_told_otherwise():
    made = lake()
    assert made
    assert "VersioningConfiguration" not in made
    assert made["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert all(made["PublicAccessBlockConfiguration"].values())
    assert not any("NoncurrentVersionExpiration" in rule for rule in made["LifecycleConfiguration"]["Rules"])


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_should_let_old_versions_of_the_lakes_objects_end(status):
    made = lake(LakeVersioning=status, LakeVersionDays="3")
    assert made
    assert made["VersioningConfiguration"] == {"Status": status}
    (rule,) = [one for one in made["LifecycleConfiguration"]["Rules"] if "NoncurrentVersionExpiration" in one]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": "3"}
    assert "Prefix" not in rule  # all of the bucket


def test_should_neither_make_nor_change_a_bucket_that_is_there_already():
    assert lake(LakeBucketExists="true") is None
    needed = [name for name, found in RESOURCES.items() if "'Lake'" in str(found) or "${Lake." in str(found)]
    assert [name for name in needed if RESOURCES[name].get("Condition") != "LakeMade"] == []
    assert "{'Ref': 'Lake'}" not in str((TEMPLATE["Globals"], TEMPLATE["Outputs"]))


@pytest.mark.parametrize("policy", ["ReadSecrets", "WriteSecrets"])
def test_should_keep_the_keys_of_receivers_from_all_who_read_sources(policy):
    statements = RESOURCES[policy]["Properties"]["PolicyDocument"]["Statement"]
    (deny,) = [one for one in statements if one["Effect"] == "Deny"]
    assert deny["Action"] == "secretsmanager:*"
    kept = [resource["Fn::Sub"].partition(":secret:")[2] for resource in deny["Resource"]]
    assert kept == ["${AWS::StackName}/lineage/*", "${AWS::StackName}/alerts/*"]
    assert policy not in str([FUNCTIONS["RecordLineageFunction"], FUNCTIONS["SendAlertsFunction"]])


def test_should_let_functions_write_secrets_in_places_of_their_own_only():
    writes = ("CreateSecret", "PutSecretValue", "RestoreSecret", "DeleteSecret", "UpdateSecret")
    found = {}
    for name, resource in RESOURCES.items():
        policies = (
            resource["Properties"].get("Policies", [])
            if name in FUNCTIONS
            else [resource["Properties"].get("PolicyDocument")]
        )
        statements = [one for policy in policies if isinstance(policy, dict) for one in policy.get("Statement", [])]
        for one in statements:
            if one["Effect"] == "Allow" and any(action in str(one["Action"]) for action in writes):
                found[name] = one["Resource"]["Fn::Sub"].partition(":secret:")[2]
    assert found == {
        "WriteSecrets": "${AWS::StackName}/inline/*",
        "ConnectionsFunction": "${AWS::StackName}/connections/*",
    }


def test_should_give_each_stack_secrets_of_its_own():
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["FLOWFORGE_SECRET_PREFIX"] == {
        "Fn::Sub": "${AWS::StackName}/"
    }
    named = re.findall(r":secret:([^'\"]*)", str(RESOURCES))
    assert named and all(name.startswith("${AWS::StackName}/") for name in named)


def test_should_show_every_queue_and_function_on_the_dashboard():
    body, own = RESOURCES["Board"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, text in own.items():
        body = body.replace(f"${{{name}}}", text["Fn::Sub"])
    widgets = [widget["properties"] for widget in json.loads(body)["widgets"]]
    shown = {widget["title"]: str(widget["metrics"]) for widget in widgets}
    assert [queue for queue in QUEUES if f"${{{queue}Queue.QueueName}}" not in shown["Oldest message (s)"]] == []
    assert [queue for queue in QUEUES if f"${{{queue}DeadLetters.QueueName}}" not in shown["Messages given up"]] == []
    for title in ("Errors of functions", "Duration of functions, p95 (ms)", "Throttled functions"):
        assert [name for name in FUNCTIONS if f"${{{name}}}" not in shown[title]] == []


def alarms() -> dict[str, list[str]]:
    """What each metric's alarms are about: the values of their dimensions."""
    found: dict[str, list[str]] = defaultdict(list)
    for alarm in deployed("AWS::CloudWatch::Alarm", AlarmEmail="oncall@example.com").values():
        assert alarm["AlarmActions"] == ["AlarmTopic"] and alarm["AlarmDescription"]
        for one in alarm.get("Metrics", [{"MetricStat": {"Metric": alarm}}]):
            if "MetricStat" in one:
                metric = one["MetricStat"]["Metric"]
                found[metric["MetricName"]] += [named["Value"] for named in metric["Dimensions"]]
    return found


def test_should_raise_an_alarm_for_each_queue_and_for_what_no_queue_keeps():
    told = alarms()
    assert sorted(told["ApproximateNumberOfMessagesVisible"]) == sorted(f"{queue}DeadLetters" for queue in QUEUES)
    assert sorted(told["ApproximateAgeOfOldestMessage"]) == sorted(f"{queue}Queue" for queue in QUEUES)
    timed = {
        name
        for name, function in FUNCTIONS.items()
        if any(event["Type"] == "Schedule" for event in function["Properties"]["Events"].values())
    }
    assert set(told["Errors"]) == timed
    assert {"SweepFailures", "ScheduleFailures", "UpkeepFailures", "OldestBatchSeconds", "5xx"} <= set(told)
    assert deployed("AWS::CloudWatch::Alarm") == {}
    stopped = deployed("AWS::CloudWatch::Alarm", AlarmEmail="a@b.c")["StoppedClockAlarm"]  # silence is what it hears
    assert set(told["Invocations"]) == {"SchedulesFunction", "WatermarkFunction"}
    assert (stopped["TreatMissingData"], stopped["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    ((budget,),) = [deployed("AWS::Budgets::Budget", AlarmEmail="a@b.c", MonthlyBudget="7").values()]
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "7", "Unit": "USD"}


def within(**parameters: str) -> set[str]:
    """The groups of libraries of the functions that are in a VPC with given parameters; all of a group are, or none."""
    found: dict[str, set[bool]] = defaultdict(set)
    for name, function in deployed("AWS::Lambda::Function", **parameters).items():
        network = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
        assert function.get("VpcConfig", network) == network
        group = FUNCTIONS[name]["Metadata"]["LibraryGroup"]
        found["receivers" if name in RECEIVED else group].add("VpcConfig" in function)
    assert all(len(one) == 1 for one in found.values()), found
    return {group for group, one in found.items() if one == {True}}


def test_should_put_those_functions_into_the_vpc_that_parameters_name_which_reach_sources_and_no_other():
    network = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
    with_drivers = {group for group, libraries in GROUPS.items() if "pymssql" in libraries}
    assert within() == set()
    assert within(**network) == with_drivers
    assert within(**network, ReceiversInVpc="yes") == {*with_drivers, "receivers"}
    assert within(ReceiversInVpc="yes") == set()


def test_should_let_no_function_make_network_interfaces_that_never_needs_any():
    roles = deployed("AWS::IAM::Role")
    makes = {name.removesuffix("Role") for name, role in roles.items() if "VPCAccess" in str(role["ManagedPolicyArns"])}
    reach = {name for name, one in FUNCTIONS.items() if "pymssql" in GROUPS[one["Metadata"]["LibraryGroup"]]}
    assert makes == reach | RECEIVED


def test_should_brake_the_api_and_log_each_call_without_what_its_caller_writes():
    api = TEMPLATE["Globals"]["HttpApi"]
    assert [value(api["DefaultRouteSettings"][f"Throttling{kind}Limit"]) for kind in ("Rate", "Burst")] == [50, 100]
    logged = json.loads(api["AccessLogSettings"]["Format"])
    assert {"time", "route", "status", "caller", "ip"} <= set(logged)
    written_by_callers = re.compile(r"path|query|userAgent|header|body|message", re.IGNORECASE)
    assert [name for name, shown in logged.items() if written_by_callers.search(shown)] == []
    assert RESOURCES["ApiLog"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_should_keep_all_logs_of_functions_for_a_given_time():
    assert TEMPLATE["Globals"]["Function"]["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": "Logs"}}
    assert not [name for name, function in FUNCTIONS.items() if "LoggingConfig" in function["Properties"]]
    groups = [found["Properties"] for found in RESOURCES.values() if found["Type"] == "AWS::Logs::LogGroup"]
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)
    assert "LogGroupName" not in RESOURCES["Logs"]["Properties"]  # which a group that is left would have already


def test_should_encrypt_all_that_is_kept_by_the_key_that_is_given():
    queues, tables = deployed("AWS::SQS::Queue", KmsKeyArn=KEY), deployed("AWS::DynamoDB::Table", KmsKeyArn=KEY)
    groups, made = deployed("AWS::Logs::LogGroup", KmsKeyArn=KEY), lake(KmsKeyArn=KEY)
    assert made
    assert len(queues) == 2 * len(QUEUES)
    assert {(queue["KmsMasterKeyId"], queue["SqsManagedSseEnabled"]) for queue in queues.values()} == {(KEY, False)}
    assert {table["SSESpecification"]["KMSMasterKeyId"] for table in tables.values()} == {KEY}
    assert {group["KmsKeyId"] for group in groups.values()} == {KEY}
    (rule,) = made["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert rule["BucketKeyEnabled"] is True


def test_should_let_every_function_use_that_key_and_no_other_and_only_through_what_it_encrypts():
    (policy,) = deployed("AWS::IAM::Policy", KmsKeyArn=KEY).values()
    assert sorted(policy["Roles"]) == sorted(f"{name}Role" for name in FUNCTIONS)
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt", "kms:GenerateDataKey"], KEY)
    services = [f"{service}.us-east-1.amazonaws.com" for service in ("s3", "dynamodb", "sqs")]
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": services}}


def test_should_encrypt_by_keys_of_awss_and_allow_no_key_where_none_is_given():
    assert not deployed("AWS::IAM::Policy")
    queues, tables = deployed("AWS::SQS::Queue").values(), deployed("AWS::DynamoDB::Table").values()
    assert all(queue["SqsManagedSseEnabled"] is True and "KmsMasterKeyId" not in queue for queue in queues)
    assert all(table["SSESpecification"] == {"SSEEnabled": True} for table in tables)
    assert "KmsKeyId" not in str(deployed("AWS::Logs::LogGroup"))
