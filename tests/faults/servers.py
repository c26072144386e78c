"""The servers of a world: an embedded AWS with what the template declares, a stand-in with the bank, the proxies, the pool."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pymssql
import pytest

from flowforge.cloud.clients import client
from flowforge.settings import settings
from infra.local.resources import Resources
from infra.local.servers import aws_environment
from infra.local.template import expand
from tests.faults.aws_proxy import AwsProxy
from tests.faults.pool import ROOT, Pool
from tests.faults.tds_proxy import TdsProxy
from tests.faults.world import World

LEASE_SECONDS = 2
LOGIN = {"username": "sa", "password": "FlowForge2024!"}


def open_world(stack: ExitStack, folder: Path) -> World:
    """A world of its own; it ends with the stack."""
    environment = stack.enter_context(pytest.MonkeyPatch.context())
    aws_url = stack.enter_context(_embedded_aws(folder))
    source = stack.enter_context(stand_in(folder))
    common = aws_environment("driver", "driver") | {"AWS_ENDPOINT_URL": aws_url, "AWS_ALLOW_HTTP": "true"}
    common |= {"FLOWFORGE_SOURCE_CA_FILE": source["ca_file"], "FLOWFORGE_LEASE_SECONDS": str(LEASE_SECONDS)}
    resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", aws_url, None, ("driver", "driver"))
    resources.create_all()
    given = resources.of_kind("AWS::Lambda::Function")["SubmitJobFunction"]["Environment"]["Variables"]
    for name, value in {**{k: str(v) for k, v in given.items() if str(v)}, **common}.items():
        environment.setenv(name, value)
    client.cache_clear()
    settings.cache_clear()
    stack.callback(client.cache_clear)
    stack.callback(settings.cache_clear)
    tds = stack.enter_context(TdsProxy("127.0.0.1", source["port"]))
    return World(
        aws_url=aws_url,
        aws=stack.enter_context(AwsProxy(aws_url)),
        tds=tds,
        pool=stack.enter_context(Pool(folder / "workers.log")),
        resources=resources,
        login={"host": "localhost", "port": tds.port, "database": source["database"], **LOGIN},
        connect=lambda: connect(source),
        environment=common,
    )


@contextmanager
def _embedded_aws(folder: Path) -> Iterator[str]:
    with (folder / "aws.log").open("w") as log, socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        command = [sys.executable, "-m", "infra.local.moto_server", str(listener.fileno())]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log, cwd=ROOT)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def stand_in(folder: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "infra.local.sqlserver", "--bank", "--tls-directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def connect(source: dict[str, Any]) -> pymssql.Connection:
    """A connection to a stand-in by its ready line, not through a proxy."""
    return pymssql.connect(
        server="127.0.0.1",
        port=str(source["port"]),
        user=LOGIN["username"],
        password=LOGIN["password"],
        database=source["database"],
        autocommit=True,
    )
