"""Clients of an embedded AWS as the stack runs it, for the tests of the embedded AWS itself."""

import boto3
import pytest
from botocore.config import Config

from tests.helpers.servers import AWS_KEYS, embedded_aws


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """A function that opens clients of an embedded AWS as the stack runs it."""
    clients = []

    def open_client(service):
        config = Config(max_pool_connections=20, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        clients.append(
            boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config, **AWS_KEYS)
        )  # fmt: skip
        return clients[-1]

    with embedded_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        yield open_client
        for client in clients:
            client.close()


def create_table(dynamodb, name):
    dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip
