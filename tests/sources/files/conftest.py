"""A bucket of its own for each test."""

import uuid

import pytest

from flowforge.aws.clients import client


@pytest.fixture
def bucket(lake_environment: None) -> str:
    name = f"files-{uuid.uuid4().hex[:12]}"
    place = {"LocationConstraint": "eu-central-1"}
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name
