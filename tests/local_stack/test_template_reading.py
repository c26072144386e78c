"""The template is the only list of functions, routes and queues; what it says is understood or refused, never guessed."""

from pathlib import Path

import pytest

from infra.local.intrinsics import Intrinsics
from infra.local.parameters import WITHOUT_EFFECT, refuse, without_effect
from infra.local.resources import QUEUE_ATTRIBUTES, TABLE_PROPERTIES
from infra.local.template import Template, TemplateError, expand, parameter_values
from infra.local.template_text import read_yaml
from tests.helpers.local_stack import TEMPLATE
from tests.helpers.servers import ROOT

# What of the template's resources a local stack reads.
HONOURED = {
    "AWS::DynamoDB::Table": TABLE_PROPERTIES,
    "AWS::Events::Rule": ("EventPattern", "State", "Targets"),
    "AWS::S3::Bucket": ("BucketName", "NotificationConfiguration", "VersioningConfiguration"),
    "AWS::SQS::Queue": QUEUE_ATTRIBUTES,
    "AWS::Serverless::Function": ("Environment", "Events", "Timeout"),
}


def intrinsics(parameters=None, conditions=None, mappings=None):
    template = Template(Path(), {}, parameters or {}, conditions or {}, mappings or {}, {})
    made = {"Queue": ("http://queue", {"Arn": "arn:queue"})}
    return Intrinsics(template, "stack", made.__getitem__)


def test_should_expand_events_of_functions_into_resources_of_their_own():
    template = expand(TEMPLATE, {})

    kinds = {logical: resource["Type"] for logical, resource in template.resources.items()}
    assert kinds["Work"] == "AWS::Lambda::Function"
    assert kinds["WorkMessages"] == "AWS::Lambda::EventSourceMapping"
    assert kinds["DroppedRequest"] == "AWS::Events::Rule"
    assert kinds["ApiNightly"] == "AWS::Events::Rule"
    assert kinds["ServerlessHttpApi"] == "AWS::ApiGatewayV2::Api"
    assert set(template.code.values()) == {TEMPLATE.parent}


def test_should_run_from_the_template_that_is_deployed():
    template = expand(ROOT / "template.yaml", {})

    handlers = {
        resource["Properties"]["Handler"]
        for resource in template.resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert "functions.ingest_table.handler.handler" in handlers


def test_should_say_what_sam_refuses(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text("Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n")

    with pytest.raises(TemplateError, match=r"\[F\] is invalid"):
        expand(path, {})


def test_should_expand_a_template_anew_once_anything_of_it_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "template.yaml"

    def expanded(text, **parameters):
        path.write_text(text)
        return expand(path, parameters)

    text = TEMPLATE.read_text()
    first = expanded(text)
    (kept,) = (tmp_path / "cache/flowforge/templates").iterdir()
    assert expanded(text) == first
    changed = expanded(text.replace("Work:", "Other:"))
    assert "Other" in changed.resources
    assert "Other" not in first.resources
    kept.write_text(kept.read_text()[:100])  # as where the disk was full
    assert expanded(text) == first
    kept.chmod(0o666)
    kept.write_text('{"resources": {}}')  # as somebody else would
    assert expanded(text) == first


def test_should_expand_a_template_where_nothing_can_be_kept(tmp_path, monkeypatch):
    taken = tmp_path / "cache"
    taken.write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(taken))
    assert "Work" in expand(TEMPLATE, {}).resources


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"Ref": "Queue"}, "http://queue"),
        ({"Ref": "Name"}, "x"),
        ({"Ref": "AWS::StackName"}, "stack"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:queue"),
        ({"Fn::GetAtt": "Queue.Arn"}, "arn:queue"),
        ({"Fn::Sub": "${Name}/${Queue.Arn}/${!Name}/${AWS::AccountId}"}, "x/arn:queue/${Name}/123456789012"),
        ({"Fn::Sub": ["${A}-${Name}", {"A": {"Ref": "Queue"}}]}, "http://queue-x"),
        ({"Fn::Join": [":", ["a", {"Ref": "Name"}, 1]]}, "a:x:1"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"Fn::If": ["No", "then", {"Ref": "AWS::NoValue"}]}, None),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Name"}, "Memory"]}, 512),
        ([{"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}, "b": 1}], [{"b": 1}]),
        ({"Condition": {"StringLike": {"s3:prefix": "a/*"}}}, {"Condition": {"StringLike": {"s3:prefix": "a/*"}}}),
    ],
)
def test_should_resolve_intrinsics(node, value):
    conditions = {
        "Yes": {"Fn::Equals": [{"Ref": "Name"}, "x"]},
        "No": {"Fn::And": [{"Condition": "Yes"}, {"Fn::Not": [{"Condition": "Yes"}]}]},
    }
    resolver = intrinsics({"Name": "x"}, conditions, {"Sizes": {"x": {"Memory": 512}}})

    assert resolver.resolve(node) == value


@pytest.mark.parametrize(
    "node", [{"Fn::ImportValue": "x"}, {"Fn::GetAtt": "Queue.Colour"}, {"Fn::If": ["Unknown", 1, 2]}]
)
def test_should_refuse_what_it_cannot_resolve(node):
    with pytest.raises(TemplateError):
        intrinsics().resolve(node)


def test_should_take_parameters_that_are_declared_and_allowed():
    declared = {
        "Stage": {"Type": "String", "AllowedValues": ["dev", "prod"], "Default": "dev"},
        "Subnets": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Secret": {"Type": "String"},
        "Many": {"Type": "Number", "Default": 5, "MinValue": 2, "MaxValue": 9, "Description": "how many"},
        "Host": {"Type": "String", "Default": "", "AllowedPattern": "(https://.+)?"},
    }

    fixed = {"Many": 5, "Host": ""}
    assert parameter_values(declared, {"Secret": "s"}) == {
        "Stage": "dev",
        "Subnets": ["a", "b"],
        "Secret": "s",
        **fixed,
    }
    for given, message in (
        ({}, "Secret has no default"),
        ({"Secret": "", "Stage": "x"}, "allowed are"),
        ({"X": "1"}, "no such"),
        ({"Secret": "s", "Many": "x"}, "not a number; how many"),
        ({"Secret": "s", "Many": "1"}, "at least 2"),
        ({"Secret": "s", "Many": "10"}, "at most 9"),
        ({"Secret": "s", "Host": "http://h"}, "does not match"),
    ):
        with pytest.raises(TemplateError, match=message):
            parameter_values(declared, given)


def test_should_know_of_every_parameter_whether_it_does_something_here():
    source = read_yaml((ROOT / "template.yaml").read_text())
    read = [source["Globals"]["Function"]["Environment"]]
    for resource in source["Resources"].values():
        if kept := HONOURED.get(resource["Type"]):
            read += [resource.get("Condition"), *(resource["Properties"].get(name) for name in kept)]
    text = str(read)
    text += "".join(str(condition) for name, condition in source["Conditions"].items() if f"'{name}'" in text)
    declared = set(source["Parameters"])
    decides = {name for name in declared if f"'Ref': '{name}'" in text or f"${{{name}}}" in text}
    assert declared - decides - set(WITHOUT_EFFECT) == set()
    assert decides & set(WITHOUT_EFFECT) == set()
    assert set(WITHOUT_EFFECT) - declared == {"ApiTokenAudiences", "ApiTokenIssuer"}


def test_should_say_what_has_no_effect_here_and_refuse_what_leaves_no_bucket():
    (line,) = without_effect({"KmsKeyArn": "arn", "MaxAttempts": "2"})
    assert line.startswith("parameter KmsKeyArn has no effect here: ")
    refuse({"LakeBucketExists": "false"})
    with pytest.raises(TemplateError, match=r"LakeBucketExists=true.*leave the parameter out"):
        refuse({"LakeBucketExists": "true"})
