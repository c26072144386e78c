"""An embedded AWS with what the template declares, for tests that send a function its event in this process.

Each module has a deployment of its own in it: some tests sweep, fold or search all that is stored, and that is not to grow with
what others have left.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from infra.local.resources import Resources
from infra.local.template import REGION, expand
from tests.helpers.alerts import alert_queues, alert_server, batch, receiver  # noqa: F401 - likewise
from tests.helpers.cuts import ledger  # noqa: F401 - likewise
from tests.helpers.file_jobs import job  # noqa: F401 - a fixture of this folder
from tests.helpers.function_calls import Aws, Context
from tests.helpers.lineage_events import landed_batch, lineage_queues, lineage_receiver, set_lineage_endpoint  # noqa: F401 - likewise
from tests.helpers.loads import load_proxy, loads, server, sliced  # noqa: F401 - fixtures of this folder
from tests.helpers.noticed_jobs import submit_queues  # noqa: F401 - likewise
from tests.helpers.other_aws import other_aws
from tests.helpers.request_door import door  # noqa: F401 - likewise
from tests.helpers.schedules import orders, schedule_queues, workflow  # noqa: F401 - likewise
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, OTHER_AWS, ROOT, embedded_aws
from tests.helpers.tracked import tracked  # noqa: F401 - likewise


@pytest.fixture(scope="package")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS that is still empty, and the environment of who may call it."""
    log, other = tmp_path_factory.mktemp("aws") / "log", os.environ.get(OTHER_AWS)
    with pytest.MonkeyPatch.context() as environment, other_aws(other, log) if other else embedded_aws(log) as endpoint:
        for name, value in AWS_VARIABLES.items():
            environment.setenv(name, value)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        yield endpoint


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture(scope="module")
def lake_bucket() -> str:
    """The name of the module's bucket, which is in what is stored."""
    return f"flowforge-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def aws(aws_endpoint: str, lake_bucket: str) -> Iterator[Aws]:
    template = expand(ROOT / "template.yaml", {})
    template = replace(template, parameters=template.parameters | {"LakeBucketName": lake_bucket})
    name = f"flowforge-{uuid.uuid4().hex[:8]}"
    key, secret = AWS_KEYS.values()
    resources = Resources(template, name, aws_endpoint, None, (key, secret))
    resources.create_all()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _environment(resources).items():
            environment.setenv(name, value)
        with closing(Aws(aws_endpoint, resources)) as running:
            yield running


def _environment(resources: Resources) -> dict[str, str]:
    functions = resources.of_kind("AWS::Lambda::Function")
    submit = functions["SubmitJobFunction"]["Environment"]["Variables"]
    sweeper = functions["WatermarkFunction"]["Environment"]["Variables"]
    own = {
        "FLOWFORGE_SUBMIT_QUEUE_URL": sweeper["FLOWFORGE_SUBMIT_QUEUE_URL"],
        "FLOWFORGE_SECRET_PREFIX": "flowforge/",  # by which tests name secrets, whatever their stack is called
    }
    return {name: str(value) for name, value in (submit | own).items() if str(value)}


@pytest.fixture(autouse=True)
def own_messages(request: pytest.FixtureRequest) -> None:
    """Nobody takes off the shared queues what an earlier test has left there."""
    if "aws" in request.fixturenames:
        request.getfixturevalue("aws").since_ms = time.time_ns() // 1_000_000


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name of its own for each call, since all tests share the stack."""
    return lambda prefix: f"{prefix}_{uuid.uuid4().hex[:8]}"
