"""Tests run in several processes: those of a folder that share servers and an environment in one, others file by file.

Folders that take long come first, so that no process is left alone with one at the end. Each test of faults makes what it needs
in the world of whichever process it runs in.

What hypothesis draws is new in each run, as when a developer explores; with FLOWFORGE_TEST_PROFILE=ci, as in `.ci/run`, it is the
same each time, so that a gate that closes blames the change before it.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.helpers.outside import S3, buckets_of_this_run
from tests.helpers.servers import AWS_VARIABLES, embedded_aws

if TYPE_CHECKING:
    from tests.helpers.lake import Lake

settings.register_profile("explore", derandomize=False, deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("FLOWFORGE_TEST_PROFILE", "explore"))


TOGETHER = ("chain", "functions", "sources", "local_stack", "standin")


class _BySharedServers(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return folder if folder in TOGETHER else nodeid if folder == "faults" else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Sends the tests of a folder with servers to one process, those of any other file, and each of faults, to any."""
    return _BySharedServers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the folders first that one process runs as a whole."""
    places = {folder: place for place, folder in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(item.nodeid.split("/")[1], len(places)))


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running S3, whose conditional writes are atomic: Delta's commits rest on them."""
    with embedded_aws(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def s3_variables(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a function's environment says of S3: the embedded one, or that of FLOWFORGE_TEST_S3."""
    if os.environ.get(S3):
        with buckets_of_this_run() as variables:
            yield variables
        return
    region = {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}
    url = request.getfixturevalue("s3_endpoint")
    yield {**AWS_VARIABLES, "AWS_SESSION_TOKEN": "session/+token==", **region, "AWS_ENDPOINT_URL": url}


@pytest.fixture
def lake_environment(s3_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a function: credentials of a session, region and endpoint."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    for name, value in s3_variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def lake(lake_environment: None) -> "Lake":
    """An empty lake. Its libraries are loaded by the tests that have one."""
    from flowforge.aws.clients import client
    from tests.helpers.lake import Lake

    return Lake(client("s3"))
