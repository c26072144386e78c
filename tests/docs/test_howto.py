"""What docs/howto.md says of logs, metrics, steps, memory and schedules is what the code and the template have."""

import ast
import re
from functools import cache
from pathlib import Path

from events.request import DatabaseSource, parse_job_request
from flowforge.domain.given import given
from infra.local.template_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
HOWTO = (ROOT / "docs" / "howto.md").read_text()
TEMPLATE = read_yaml((ROOT / "template.yaml").read_text())
LEVELS = {"debug", "info", "warning", "error", "exception"}
MINOR = {
    "not a request file",
    "giving up a request",
    "the login of a request that was given up is not kept",
    "the message keeps its queue's visibility timeout",
    "no such table any more",
}  # lines that explain themselves


@cache
def calls() -> list[ast.Call]:
    """The calls of every module that writes lines or metrics, or takes messages."""
    paths = [path for folder in ("flowforge", "functions") for path in (ROOT / folder).rglob("*.py")]
    texts = [text for text in (path.read_text() for path in paths) if re.search("logger|metrics|process_", text)]
    return [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def called(name: str, *, on: str) -> list[ast.Call]:
    return [
        call
        for call in calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr == name and getattr(call.func.value, "id", "") == on
    ]


def section(heading: str) -> str:
    return given(re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", HOWTO, re.MULTILINE | re.DOTALL))[1]


def test_should_explain_every_line_of_the_logs():
    written = {ast.literal_eval(call.args[0]) for level in LEVELS for call in called(level, on="logger")}
    table = section("Read the logs").partition("| message | level |")[2]
    told = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    assert told == written - MINOR


def test_should_name_every_step_and_field_of_a_line():
    logs = section("Read the logs")
    steps = {
        ast.literal_eval(call.args[2])
        for call in calls()
        if getattr(call.func, "id", "") in ("process_messages", "process_envelopes")
    }
    assert set(given(re.search(r"the step \(([^)]+)\)", logs))[1].replace("`", "").split(", ")) == steps
    (keys,) = called("append_context_keys", on="logger")
    written = [keyword.arg for keyword in keys.keywords if keyword.arg] + ["run_id", "table"]
    assert all(f"`{name}`" in logs for name in written)


def test_should_name_every_metric_that_tells_of_a_failure():
    written = {
        ast.literal_eval(keyword.value) for call in called("add_metric", on="metrics") for keyword in call.keywords[:1]
    }
    assert set(re.findall(r"`(\w+Failures)`", section("Be alerted"))) == {
        name for name in written if name.endswith("Failures")
    }


def test_should_have_an_alarm_for_every_dead_letter_queue():
    resources = TEMPLATE["Resources"]
    alarms = {name: found for name, found in resources.items() if found["Type"] == "AWS::CloudWatch::Alarm"}
    watched = str([found["Properties"].get("Dimensions") for found in alarms.values()])
    queues = [name for name in resources if name.endswith("DeadLetters")]
    assert [name for name in queues if f"['{name}', 'QueueName']" not in watched] == []
    assert set(re.findall(r"`(\w+Alarm)`", section("Be alerted"))) == set(alarms)
    for found in alarms.values():
        assert found["Condition"] == "Alarmed"
        told = [action["Fn::If"][:2] for action in found["Properties"]["AlarmActions"]]
        assert told == [["AlarmTopicNamed", {"Ref": "AlarmTopicArn"}], ["AlarmMailed", {"Ref": "AlarmTopic"}]]


def test_should_have_an_alarm_for_the_oldest_message_of_every_queue():
    resources = TEMPLATE["Resources"]
    watched = str([resources[name]["Properties"]["Metrics"] for name in ("WaitingAlarm", "FollowUpAlarm")])
    queues = [name for name in resources if name.endswith("Queue")]
    assert len(queues) >= 10
    assert [
        name for name in queues if f"'{name}', 'QueueName']" not in watched and f"{name}.QueueName" not in watched
    ] == []


def test_should_compute_with_the_memory_of_the_template():
    functions = [
        found["Properties"] for found in TEMPLATE["Resources"].values() if found["Type"].endswith("::Function")
    ]
    sizes = {found.get("MemorySize", TEMPLATE["Globals"]["Function"]["MemorySize"]) for found in functions}
    told = given(re.search(r"memory \(([^)]+)\)", section("What it costs")))[1].replace(",", "")
    assert {int(number) for number in re.findall(r"\d+", told)} == sizes


def test_should_offer_a_schedule_whose_event_starts_a_run():
    target = read_yaml((ROOT / "examples" / "schedule.yaml").read_text())["Resources"]["NightlyLoad"]["Properties"][
        "Target"
    ]
    assert (
        target["EventBridgeParameters"]["DetailType"]
        in TEMPLATE["Resources"]["JobRequested"]["Properties"]["EventPattern"]["detail-type"]
    )
    request = parse_job_request(target["Input"])
    assert request.batch_id is None  # each run gets one of its own
    assert isinstance(request.source_config, DatabaseSource)
    assert request.source_config.connection.connectionId == "bank"
