"""What the embedded AWS keeps in a data directory: all that was acknowledged, when it is killed at any moment."""

import json
import os
import random
import stat
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.data_directory import DataDirectory, DataDirectoryError
from tests.helpers.kept_aws import Aws
from tests.helpers.servers import stop
from tests.helpers.waiting import LIMIT_SECONDS

PART = 5 * 2**20


@pytest.fixture
def aws(tmp_path):
    running = Aws(tmp_path / "data")
    yield running
    stop(running.process)


def test_should_have_all_again_that_was_acknowledged(aws):
    key = {"pk": {"S": "a"}, "sk": {"S": "2"}}
    aws.dynamo.transact_write_items(TransactItems=[aws.put("a", "1", v="one"), aws.put("a", "2"), aws.put("b", "1")])
    aws.dynamo.update_item(
        TableName="marks",
        Key=key,
        UpdateExpression="SET n = :n, m = :m",
        ExpressionAttributeValues={":n": {"N": "12.5"}, ":m": {"M": {"x": {"L": [{"BOOL": True}]}}}},
    )
    aws.dynamo.delete_item(TableName="marks", Key={"pk": {"S": "b"}, "sk": {"S": "1"}})
    with pytest.raises(ClientError):
        aws.dynamo.put_item(
            TableName="marks", Item=key | {"n": {"N": "0"}}, ConditionExpression="attribute_not_exists(pk)"
        )
    aws.sqs.send_message(
        QueueUrl=aws.queue, MessageBody="first", MessageAttributes={"why": {"DataType": "String", "StringValue": "x"}}
    )
    aws.sqs.send_message(QueueUrl=aws.queue, MessageBody="done")
    held = aws.sqs.receive_message(QueueUrl=aws.queue, MaxNumberOfMessages=10)["Messages"]
    (done,) = [message for message in held if message["Body"] == "done"]
    aws.sqs.delete_message(QueueUrl=aws.queue, ReceiptHandle=done["ReceiptHandle"])
    aws.secrets.create_secret(Name="flowforge/bank", SecretString="old")
    aws.secrets.put_secret_value(SecretId="flowforge/bank", SecretString="new")
    aws.secrets.create_secret(Name="flowforge/gone", SecretString="x")
    aws.secrets.delete_secret(SecretId="flowforge/gone", ForceDeleteWithoutRecovery=True)
    aws.s3.put_object(Bucket="lake", Key="a", Body=b"first", Metadata={"mark": "7"})
    aws.s3.put_object(Bucket="lake", Key="a", Body=b"second", Metadata={"mark": "8"})
    aws.s3.put_object(Bucket="lake", Key="gone", Body=b"x")
    aws.s3.delete_object(Bucket="lake", Key="gone")
    upload = {"Bucket": "lake", "Key": "large"}
    upload["UploadId"] = aws.s3.create_multipart_upload(**upload)["UploadId"]
    bodies = [random.Random(n).randbytes(PART) for n in (1, 2)]
    parts = [
        {"PartNumber": n, "ETag": aws.s3.upload_part(**upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in enumerate(bodies, 1)
    ]
    aws.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    before = {key: aws.s3.head_object(Bucket="lake", Key=key) for key in ("a", "large")}
    told = ("ETag", "LastModified", "ContentLength", "Metadata")

    aws.kill_and_start()

    assert aws.items() == [
        {"pk": "a", "sk": "1", "v": "one"},
        {"pk": "a", "sk": "2", "n": "12.5", "m": {"x": {"L": [{"BOOL": True}]}}},
    ]
    (message,) = aws.sqs.receive_message(QueueUrl=aws.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert (message["Body"], message["MessageAttributes"]["why"]["StringValue"]) == ("first", "x")
    assert aws.secrets.get_secret_value(SecretId="flowforge/bank")["SecretString"] == "new"
    assert [one["Name"] for one in aws.secrets.list_secrets()["SecretList"]] == ["flowforge/bank"]
    assert aws.keys() == {"a": b"second", "large": b"".join(bodies)}
    for key, head in before.items():
        again = aws.s3.head_object(Bucket="lake", Key=key)
        assert {name: again[name] for name in told} == {name: head[name] for name in told}
    assert aws.s3.get_object(Bucket="lake", Key="large", Range=f"bytes={PART - 2}-{PART + 1}")["Body"].read() == (
        bodies[0][-2:] + bodies[1][:2]
    )
    with pytest.raises(ClientError, match="PreconditionFailed"):
        aws.s3.put_object(Bucket="lake", Key="a", Body=b"third", IfNoneMatch="*")


def test_should_lose_nothing_acknowledged_whenever_it_is_killed(aws):
    """Several writers at once, killed at a random moment, several times."""
    sure: list[tuple[str, str]] = []
    for life in range(2):
        written = threading.Semaphore(0)

        def write(writer: int, life: int = life, written: threading.Semaphore = written) -> None:
            for n in range(10_000):
                name = f"{life}-{writer}-{n}"
                try:
                    if writer == 0:
                        aws.dynamo.transact_write_items(TransactItems=[aws.put(name, "x"), aws.put(name, "y")])
                    elif writer == 3:
                        event = {"Source": "tests", "DetailType": "told", "Detail": json.dumps({"name": name})}
                        assert aws.bus.put_events(Entries=[event])["FailedEntryCount"] == 0
                    elif writer == 1:
                        aws.s3.put_object(Bucket="lake", Key=name, Body=name.encode() * 100)
                    else:
                        aws.sqs.send_message(QueueUrl=aws.queue, MessageBody=name)
                except (BotoCoreError, ClientError):
                    return
                sure.append((str(writer), name))
                written.release()

        writers = [threading.Thread(target=write, args=[writer]) for writer in range(4)]
        for one in writers:
            one.start()
        for _ in range(random.randint(20, 80)):
            assert written.acquire(timeout=LIMIT_SECONDS)
        aws.process.kill()
        for one in writers:
            one.join(LIMIT_SECONDS)
        aws.process.wait(LIMIT_SECONDS)
        aws.start()
    pairs, objects, messages = aws.items(), aws.keys(), aws.bodies(aws.queue)
    one, two = ({json.loads(body)["detail"]["name"] for body in aws.bodies(queue)} for queue in aws.heard)
    assert {name for writer, name in sure if writer == "0"} <= {item["pk"] for item in pairs}
    assert all(sum(other["pk"] == item["pk"] for other in pairs) == 2 for item in pairs)  # all or nothing
    assert {name for writer, name in sure if writer == "1"} <= set(objects)
    assert all(body == key.encode() * 100 for key, body in objects.items())
    assert {name for writer, name in sure if writer == "2"} <= set(messages)
    assert {name for writer, name in sure if writer == "3"} <= one
    assert one == two  # an event reaches all its targets or none
    assert len(os.listdir(aws.folder / "objects")) == len(objects)  # what a crash has left is removed


def test_should_keep_from_others_what_it_keeps_and_forget_passwords_that_are_replaced(aws):
    aws.secrets.create_secret(Name="flowforge/bank", SecretString="first-password")
    aws.secrets.delete_secret(SecretId="flowforge/bank", ForceDeleteWithoutRecovery=True)
    aws.s3.put_object(Bucket="lake", Key="requests/a.json", Body=b"clear-password")
    aws.s3.put_object(Bucket="lake", Key="requests/a.json", Body=b"{}")
    files = [path for path in aws.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((aws.folder / "objects").stat().st_mode) == 0o700
    assert not any(b"clear-password" in path.read_bytes() for path in files if path.parent.name == "objects")


def test_should_refuse_a_directory_in_use_or_of_something_else(start_stack, tmp_path):
    data = tmp_path / "data"
    first = start_stack("--data-dir", str(data)).wait_until_ready()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert (data / ".gitignore").read_text() == "*\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.rglob("*") if path.is_file()} == {0o600}
    second = start_stack("--data-dir", str(data), state=tmp_path / "second")
    assert second.process.wait(timeout=LIMIT_SECONDS) == 2
    assert f"already runs on --data-dir {data} (process {first.process.pid})" in second.process.stdout.read()
    with pytest.raises(DataDirectoryError, match="holds something else"), DataDirectory(tmp_path):
        pass
    data.chmod(0o755)
    with pytest.raises(DataDirectoryError, match="chmod 700"), DataDirectory(data):
        pass


def test_should_have_the_directory_again_once_nobody_writes_there(tmp_path):
    for _ in range(2):
        with DataDirectory(tmp_path / "data") as data:
            assert data.path == tmp_path / "data"
