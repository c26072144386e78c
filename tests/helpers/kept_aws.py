"""An embedded AWS on a folder, killed and started again by tests."""

import json
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.helpers.servers import AWS_KEYS, start_aws
from tests.helpers.waiting import LIMIT_SECONDS

TABLE = {
    "TableName": "marks",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
}


class Aws:
    """An embedded AWS on a folder, and the resources that a stack creates at every start."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.start()

    def start(self) -> None:
        self.process, self.url = start_aws(self.folder.with_suffix(".log"), str(self.folder))
        self.s3, self.dynamo, self.sqs, self.secrets = map(self.client, ("s3", "dynamodb", "sqs", "secretsmanager"))
        self.dynamo.create_table(**TABLE)
        self.queue = self.sqs.create_queue(QueueName="work")["QueueUrl"]
        self.s3.create_bucket(Bucket="lake")
        self.heard = [self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("one", "two")]
        self.bus = self.client("events")
        self.bus.put_rule(Name="all", EventPattern=json.dumps({"source": ["tests"]}))
        arns = [{"Id": name, "Arn": f"arn:aws:sqs:us-east-1:123456789012:{name}"} for name in ("one", "two")]
        self.bus.put_targets(Rule="all", Targets=arns)

    def client(self, service: str) -> Any:
        login = {"region_name": "us-east-1", **AWS_KEYS}
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=self.url, config=config, **login)

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT_SECONDS)
        self.start()

    def put(self, pk: str, sk: str, **values: str) -> dict:
        item = {"pk": {"S": pk}, "sk": {"S": sk}, **{name: {"S": value} for name, value in values.items()}}
        return {"Put": {"TableName": "marks", "Item": item}}

    def bodies(self, queue: str) -> list[str]:
        """What a queue's messages hold; they stay hidden from now on."""
        found = []
        while batch := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in batch]
        return found

    def items(self) -> list[dict]:
        found = self.dynamo.scan(TableName="marks", ConsistentRead=True)["Items"]
        return sorted(
            ({name: next(iter(value.values())) for name, value in item.items()} for item in found),
            key=lambda item: (item["pk"], item["sk"]),
        )

    def keys(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket="lake").get("Contents", [])
        return {one["Key"]: self.s3.get_object(Bucket="lake", Key=one["Key"])["Body"].read() for one in listed}
