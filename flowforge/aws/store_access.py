"""How other libraries than boto3 reach the lake's S3: one place for credentials, region and endpoint.

Guarantees: every library uses those of this process, session tokens included, and asks the S3 that boto3 asks: the libraries
know no profiles, and of the variables only some.
"""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import botocore.session

from flowforge.aws.clients import APPLICATION, client
from flowforge.domain.errors import Fatal
from flowforge.runtime.deployment import current

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")  # delta-rs looks at them itself


@dataclass(frozen=True)
class StoreAccess:
    """Credentials and address.

    `endpoint` is None for the one that AWS has for the region; `authorities` is the PEM file of those that sign its certificate,
    None for the system's, and where there is no TLS.
    """

    key: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    region: str
    endpoint: str | None
    application: str | None
    authorities: str | None


def store_access() -> StoreAccess:
    """The access of this process: from the environment, or from the caller's AWS profile where it names no keys. Raises Fatal."""
    key, secret, token = _credentials()
    region = _region()
    endpoint, application = _endpoint(region), os.environ.get(APPLICATION) or None
    authorities = None if endpoint and endpoint.startswith("http://") else _authorities()
    return StoreAccess(key, secret, token, region, endpoint, application, authorities)


def _authorities() -> str | None:
    """As boto3 finds them: AWS_CA_BUNDLE, or a profile's ca_bundle."""

    def find() -> str | None:
        return botocore.session.get_session().get_config_variable("ca_bundle") or None

    return current().aws().once("authorities", find)


def _endpoint(region: str) -> str | None:
    address = str(client("s3").meta.endpoint_url)
    usual = urlsplit(address).hostname in ("s3.amazonaws.com", f"s3.{region}.amazonaws.com")
    return None if usual and not any(map(os.environ.get, ENDPOINTS)) else address


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
