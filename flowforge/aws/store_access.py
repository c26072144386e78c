"""How other libraries than boto3 reach the lake's S3: one place for credentials, region and endpoint.

Guarantees: every library uses those of this process, session tokens included.
"""

import os
from dataclasses import dataclass, field

from flowforge.domain.errors import Fatal

APPLICATION = "AWS_SDK_UA_APP_ID"  # who is calling, for the store's logs: boto3 says it of its own accord


@dataclass(frozen=True)
class StoreAccess:
    """Credentials and address; `endpoint` is None for AWS' own."""

    key: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    region: str
    endpoint: str | None
    application: str | None


def store_access() -> StoreAccess:
    """The access of this process: from the environment, or from the caller's AWS profile where it names no keys. Raises Fatal."""
    key, secret, token = _credentials()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    return StoreAccess(key, secret, token, _region(), endpoint, os.environ.get(APPLICATION) or None)


def _credentials() -> tuple[str, str, str | None]:
    if "AWS_ACCESS_KEY_ID" in os.environ and "AWS_SECRET_ACCESS_KEY" in os.environ:
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        return key, secret, os.environ.get("AWS_SESSION_TOKEN") or None
    import boto3

    found = boto3.Session().get_credentials()
    if found is None:
        raise Fatal(
            "no AWS credentials for the lake", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    frozen = found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def _region() -> str:
    if named := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        return named
    import boto3

    return boto3.Session().region_name or "us-east-1"
