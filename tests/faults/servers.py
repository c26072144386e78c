"""The servers of a world: an embedded AWS with what the template declares, a stand-in with the bank, the proxies, the pool."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.function import read_functions
from infra.local.resources import Resources
from infra.local.servers import aws_environment
from infra.local.template import expand
from tests.faults.chain import Chain
from tests.faults.deliveries import read_sources
from tests.faults.pool import Pool
from tests.faults.tds_proxy import TdsProxy
from tests.faults.world import World
from tests.helpers.aws_proxy import AwsProxy
from tests.helpers.servers import AWS_KEYS, ROOT, embedded_aws
from tests.helpers.standin import LOGIN, connect, stand_in

LEASE_SECONDS = 2


def open_world(stack: ExitStack, folder: Path, warm: bool = False) -> World:
    """A world of its own; it ends with the stack. Where workers are `warm` they take one event after the other."""
    environment = stack.enter_context(pytest.MonkeyPatch.context())
    aws_url = stack.enter_context(embedded_aws(folder / "aws.log"))
    source = stack.enter_context(stand_in(folder, "--bank"))
    common = aws_environment(*AWS_KEYS.values()) | {"AWS_ENDPOINT_URL": aws_url, "AWS_ALLOW_HTTP": "true"}
    common |= {"FLOWFORGE_SOURCE_CA_FILE": source["ca_file"], "FLOWFORGE_LEASE_SECONDS": str(LEASE_SECONDS)}
    key, secret = AWS_KEYS.values()
    resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", aws_url, None, (key, secret))
    resources.create_all()
    given = resources.of_kind("AWS::Lambda::Function")["SubmitJobFunction"]["Environment"]["Variables"]
    for name, value in {**{k: str(v) for k, v in given.items() if str(v)}, **common}.items():
        environment.setenv(name, value)
    tds = stack.enter_context(TdsProxy("127.0.0.1", source["port"]))
    functions = read_functions(resources, common)
    aws, pool = stack.enter_context(AwsProxy(aws_url)), stack.enter_context(Pool(folder / "workers.log", warm))
    return World(
        aws=aws,
        tds=tds,
        chain=Chain(list(read_sources(resources, functions)), functions, aws.url, pool),
        resources=resources,
        login={"host": "localhost", "port": tds.port, "database": source["database"], **LOGIN},
        connect=lambda: connect(source),
    )
