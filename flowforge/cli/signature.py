"""AWS Signature Version 4 for requests to a deployed API, whose routes use IAM authorisation.

Credentials are the caller's own, found as every AWS tool finds them (environment, profile, role).
"""

import os
from collections.abc import Generator

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from flowforge.cli.failure import BadRequest


class Signature(httpx.Auth):
    """Signs each request for `execute-api` in the region that the host name tells, else the session's."""

    requires_request_body = True

    def __init__(self, host: str):
        session = boto3.Session()
        self._credentials = session.get_credentials()
        self._region = (
            _region_of(host) or os.environ.get("AWS_REGION") or session.region_name
        )  # botocore passes over AWS_REGION
        if self._credentials is None or self._region is None:
            raise BadRequest(
                "this API wants signed requests, and no AWS credentials or region were found",
                "log in with the AWS CLI, or set AWS_PROFILE (or AWS_ACCESS_KEY_ID ...) and AWS_REGION",
            )

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the signature's headers; only headers that a proxy does not touch are signed."""
        kept = {name: request.headers[name] for name in ("host", "content-type") if name in request.headers}
        signed = AWSRequest(method=request.method, url=str(request.url), data=request.content, headers=kept)
        SigV4Auth(self._credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request


def _region_of(host: str) -> str | None:
    name, _, rest = host.partition(".execute-api.")
    return rest.split(".")[0] if name and ".amazonaws.com" in rest else None
