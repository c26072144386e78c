"""A disk that takes no more, by a bound of the kernel on what a process may write: what is told, and what is there afterwards."""

import asyncio
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from infra.local.logs import Log
from tests.helpers.kept_aws import Aws
from tests.helpers.servers import stop

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="another process's bounds can be set on Linux only"
)


@pytest.fixture
def aws(tmp_path):
    running = Aws(tmp_path / "data")
    yield running
    stop(running.process)


def test_should_say_which_folder_is_full_and_show_nothing_that_is_not_on_the_disk(aws):
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    aws.dynamo.put_item(TableName="marks", Item=key | {"v": {"S": "old"}})
    aws.secrets.create_secret(Name="flowforge/bank", SecretString="old")
    aws.s3.put_object(Bucket="lake", Key="a", Body=b"first")
    aws.sqs.send_message(QueueUrl=aws.queue, MessageBody="first")
    (held,) = aws.sqs.receive_message(QueueUrl=aws.queue)["Messages"]
    files = sorted((aws.folder / "objects").iterdir())
    long = "x" * 10_000
    writes = [
        lambda: aws.dynamo.put_item(TableName="marks", Item=key | {"v": {"S": long}}),
        lambda: aws.dynamo.transact_write_items(TransactItems=[aws.put("b", "1"), aws.put("b", "2", v=long)]),
        lambda: aws.secrets.put_secret_value(SecretId="flowforge/bank", SecretString=long),
        lambda: aws.secrets.create_secret(Name="flowforge/other", SecretString=long),
        lambda: aws.s3.put_object(Bucket="lake", Key="a", Body=long.encode()),
        lambda: aws.sqs.send_message(QueueUrl=aws.queue, MessageBody=long),
        lambda: aws.sqs.delete_message(QueueUrl=aws.queue, ReceiptHandle=held["ReceiptHandle"]),
        lambda: aws.bus.put_events(Entries=[{"Source": "tests", "DetailType": "T", "Detail": json.dumps({"n": long})}]),
    ]
    with no_space(aws.process.pid):
        for write in writes:
            with pytest.raises(ClientError, match=rf"NoSpaceLeft.*cannot write to {aws.folder}.*MiB.*Make space"):
                write()
        assert aws.items() == [{"pk": "a", "sk": "1", "v": "old"}]
        assert aws.secrets.get_secret_value(SecretId="flowforge/bank")["SecretString"] == "old"
        assert [one["Name"] for one in aws.secrets.list_secrets()["SecretList"]] == ["flowforge/bank"]
        assert aws.keys() == {"a": b"first"}
        assert sorted((aws.folder / "objects").iterdir()) == files
    for write in writes:
        write()

    aws.kill_and_start()

    assert [(one["pk"], one["sk"], len(one.get("v", ""))) for one in aws.items()] == [
        ("a", "1", len(long)),
        ("b", "1", 0),
        ("b", "2", len(long)),
    ]
    assert len(aws.secrets.list_secrets()["SecretList"]) == 2
    assert aws.keys() == {"a": long.encode()}
    assert aws.bodies(aws.queue) == [long]
    assert all(len(aws.bodies(queue)) == 1 for queue in aws.heard)


@contextmanager
def no_space(process: int) -> Iterator[None]:
    """For the block, no file of the process can grow: the kernel refuses what lies behind its first bytes."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


async def test_should_go_on_reading_what_a_process_prints_while_its_log_cannot_grow(tmp_path, capsys):
    log, printed = Log(tmp_path, "worker", echo=False), asyncio.StreamReader()
    log.write("before")
    with no_space(os.getpid()):
        printed.feed_data(b"one\ntwo\n")
        printed.feed_eof()
        await log.follow(printed)
        told = capsys.readouterr().out
    log.write("after")
    log.close()
    assert f"{log.path} cannot be written (File too large): lines are lost until it can" in told
    assert told.count("\n") == 1
    lines = [line.partition(" ")[2] for line in log.path.read_text().splitlines()]
    assert lines == ["before", "2 lines are missing: there was no space", "after"]
