"""boto3 clients, one per service and AWS variables of a deployment: the runtime keeps a warm process, so connections are reused.

Resource management: clients live as long as a deployment with these variables, in Lambda as the process; boto closes their pools
with them.
"""

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import convert_body_to_file_like_object
from botocore.loaders import Loader, instance_cache

from flowforge.aws import usage
from flowforge.aws.moments import read_moment
from flowforge.domain.errors import StoreUnavailable
from flowforge.runtime.deployment import Deployment, current

APPLICATION = "AWS_SDK_UA_APP_ID"  # who is calling, for the store's logs
MOST_ATTEMPTS = "AWS_MAX_ATTEMPTS"  # AWS's own variable: how often a call is tried in all
RETRIES = {"mode": "standard", "max_attempts": 5}
S3 = {"addressing_style": "path"}
CONNECTIONS = 10  # that a client of botocore keeps: more calls at once would open one for each
CONFIG = Config(retries=RETRIES, connect_timeout=5, read_timeout=30, s3=S3)
# Messages wait in their queue, commands and calls of the API do not.
TRY_AGAIN = "A message is delivered again by itself, else try again; look at the service if it persists."


class Models(Loader):
    """Reads what a service looks like; that is the same for every deployment.

    botocore remembers an address by all parameters of the service's rules, and takes 0.3 ms of CPU for a new one. S3's have an
    object's key and a listing's prefix, at which none of the rules looks: without these it is found once for each bucket.
    """

    @instance_cache  # as botocore's own is: to look through S3's rules takes 4 ms
    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """What botocore's own loader gives, but for parameters of S3's rules for addresses that no rule names."""
        found = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) != ("s3", "endpoint-rule-set-1"):
            return found
        named = set(re.findall(r"\w+", json.dumps(found["rules"])))
        unread = {name for name in ("Key", "Prefix") if name not in named}
        return found | {"parameters": {name: p for name, p in found["parameters"].items() if name not in unread}}


_models = Models()


def client(service: str) -> Any:
    """The current deployment's client of an AWS service."""
    return _client_of(current().aws(), service)


def prepare(service: str) -> None:
    """Makes a client while the caller waits for something else: the first one of a process takes 0.1 s."""
    arguments = [deployment := current().aws(), service]
    if deployment.has(("client", service)):
        return
    threading.Thread(target=_make_quietly, args=arguments, name=f"prepare {service}", daemon=True).start()


def read_models(*services: str) -> None:
    """Has boto read what services look like, 0.3 s for five, before there is a deployment: for a process that forks."""
    session, nobody = _session().boto, "none"
    for service in services:
        session.client(
            service, "us-east-1", aws_access_key_id=nobody, aws_secret_access_key=nobody, config=CONFIG
        ).close()


def _make_quietly(deployment: Deployment, service: str) -> None:
    with suppress(Exception):  # whoever needs the client meets the same error, with a caller to tell
        _client_of(deployment, service)


def _client_of(deployment: Deployment, service: str) -> Any:
    def make() -> Any:
        retries = {"mode": RETRIES["mode"]} if os.environ.get(MOST_ATTEMPTS) else RETRIES
        session = deployment.once("session", _session)
        # S3's settings as a copy: botocore notes in them what the environment says, for every later client.
        config = CONFIG.merge(Config(user_agent=session.user_agent, retries=retries, s3=dict(S3)))
        made = session.boto.client(service, config=config)
        usage.watch(made)
        if service == "s3":
            # botocore makes a file of bytes, and asks first whether a file may be sent: one more way to S3 and back
            made.meta.events.unregister("before-parameter-build.s3.PutObject", convert_body_to_file_like_object)
        return made

    return deployment.once(("client", service), make)


class _Session(NamedTuple):
    """`user_agent` says who calls, as a text of our own: botocore makes its own anew for every call, a tenth of its cost."""

    boto: boto3.Session
    user_agent: str


def _session() -> _Session:
    """One for each deployment: a session remembers the credentials that it has found. To make one takes 10 ms."""
    session, application = botocore.session.get_session(), os.environ.get(APPLICATION)
    session.register_component("data_loader", _models)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_moment)
    caller = session.user_agent() + (f" app/{application}" if application else "")
    return _Session(boto3.Session(botocore_session=session), caller)


def error_code(error: ClientError) -> str:
    """AWS's error code, such as ConditionalCheckFailedException."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def aws_errors(service: str) -> Iterator[None]:
    """For the block: what boto raises and the block does not answer itself is retriable; see `unavailable`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise unavailable(service, error) from error


def unavailable(service: str, error: Exception) -> StoreUnavailable:
    """The retriable error for a failed AWS call; its text is AWS's own."""
    assert isinstance(error, ClientError | BotoCoreError)  # noqa: S101
    return StoreUnavailable(f"{service}: {error}", TRY_AGAIN)
