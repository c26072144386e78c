"""Tests run in several processes: those of a folder that share servers and an environment in one, others file by file.

What takes long comes first, so that no process is left alone with it at the end. Each test of faults makes what it needs in the
world of whichever process it runs in.

What hypothesis draws is new in each run, as when a developer explores; with FLOWFORGE_TEST_PROFILE=ci, as in `.ci/run`, it is the
same each time, so that a gate that closes blames the change before it.
"""

import gc
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from flowforge.cli.surroundings import leave_account_out, reach_directly
from infra.local.collector import COLLECT_RARELY, keep_what_is_there
from tests.helpers.examples import examples
from tests.helpers.outside import S3, buckets_of_this_run
from tests.helpers.servers import AWS_VARIABLES, embedded_aws

if TYPE_CHECKING:
    from tests.helpers.lake import Lake

settings.register_profile("explore", derandomize=False, deadline=None, max_examples=examples(100))
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("FLOWFORGE_TEST_PROFILE", "explore"))

reach_directly()  # the servers of tests are on this machine
leave_account_out()
gc.set_threshold(*COLLECT_RARELY)  # from here on: to collect thousands of tests makes nothing but what stays

TOGETHER = ("chain", "sources", "local_stack", "standin")
# What of such a folder starts what it needs itself, or needs no server.
APART = (
    "tests/chain/test_kept_state.py",
    "tests/chain/test_killed_workers.py",
    "tests/chain/test_lake_outlives_stack.py",
    "tests/chain/test_lineage.py",
    "tests/chain/test_rebuild.py",
    "tests/chain/test_reconcile.py",
    "tests/chain/test_slices.py",
    "tests/sources/files/",
)
LONG_FIRST = (*TOGETHER, "functions", "operations", "docs", "silver", "quality", "gold", "cli", "benchmarks")


class _BySharedServers(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        folder, file = nodeid.split("/")[1], nodeid.partition("::")[0]
        if folder == "faults":
            return nodeid
        return folder if folder in TOGETHER and not file.startswith(APART) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Sends the tests of a folder with servers to one process, those of any other file, and each of faults, to any."""
    return _BySharedServers(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names bytes by their argument, which pytest numbers: workers must agree on names, and gzip's header tells the time."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the folders first that take long, and of those the files that share nothing behind the rest."""
    places = {folder: place for place, folder in enumerate(LONG_FIRST)}

    def place(item: pytest.Item) -> tuple[int, bool]:
        return places.get(item.nodeid.split("/")[1], len(places)), item.nodeid.startswith(APART)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Leaves out of Python's search for garbage what stays: the tests and their imports, a million objects."""
    keep_what_is_there()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running S3, whose conditional writes are atomic: Delta's commits rest on them."""
    with embedded_aws(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def s3_variables(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a function's environment says of S3: the embedded one, or that of FLOWFORGE_TEST_S3."""
    url = request.getfixturevalue("s3_endpoint")
    if os.environ.get(S3):
        with buckets_of_this_run() as variables:
            yield {"AWS_ENDPOINT_URL": url, **variables}  # tables and queues are never in another S3
        return
    region = {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}
    yield {**AWS_VARIABLES, "AWS_SESSION_TOKEN": "session/+token==", **region, "AWS_ENDPOINT_URL": url}


@pytest.fixture
def lake_environment(s3_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a function: credentials of a session, region and endpoint."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def lake(lake_environment: None) -> "Lake":
    """An empty lake. Its libraries are loaded by the tests that have one."""
    from flowforge.aws.clients import client
    from tests.helpers.lake import Lake

    return Lake(client("s3"))


class _Untrue(logging.Handler):
    """Notes the answers of the API that were not as its contract says."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.fields: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "an answer is not as its contract says":
            self.fields.append(getattr(record, "fields", None))


@pytest.fixture
def answers_as_told() -> Iterator[None]:
    """What functions answer in this process is what the API's document says."""
    untrue, logger = _Untrue(), logging.getLogger("flowforge")
    logger.addHandler(untrue)
    yield
    logger.removeHandler(untrue)
    assert untrue.fields == [], "an answer is not as events.api says: these fields"
