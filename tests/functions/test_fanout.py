"""Fan-out: every command is queued, in groups that SQS takes."""

from flowforge.aws.fanout import send_commands
from tests.helpers.commands import command


def test_should_queue_every_command_once(aws, unique):
    aws.messages("IngestQueue")
    run_id = unique("run")
    send_commands(aws.name("IngestQueue"), [command(f"t{n}", run_id) for n in range(103)])
    found = [m["body"]["bronze"]["table"] for m in aws.messages("IngestQueue") if m["body"]["run_id"] == run_id]
    assert sorted(found) == sorted(f"bronze_t{n}" for n in range(103))


def test_should_split_groups_that_are_too_large_for_one_call(aws, unique):
    aws.messages("IngestQueue")
    run_id = unique("run")
    large = [
        c.model_copy(
            update={"source": c.source.model_copy(update={"table_name": None, "query": "SELECT 1 --" + "x" * 60_000})}
        )
        for c in (command(f"t{n}", run_id) for n in range(12))
    ]
    send_commands(aws.name("IngestQueue"), large)
    assert len([m for m in aws.messages("IngestQueue") if m["body"]["run_id"] == run_id]) == 12


def test_should_do_nothing_for_no_commands(aws):
    send_commands(aws.name("IngestQueue"), [])
