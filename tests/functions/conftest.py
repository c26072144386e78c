"""An embedded AWS with what the template declares, for tests that send a function its event in this process."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from infra.local.resources import Resources
from infra.local.template import REGION, expand
from tests.helpers.function_calls import Aws, Context
from tests.helpers.loads import loads, server, sliced  # noqa: F401 - fixtures of this folder
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, ROOT, embedded_aws


@pytest.fixture(scope="package")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    log = tmp_path_factory.mktemp("aws") / "log"
    with pytest.MonkeyPatch.context() as environment, embedded_aws(log) as endpoint:
        for name, value in AWS_VARIABLES.items():
            environment.setenv(name, value)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        key, secret = AWS_KEYS.values()
        resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", endpoint, None, (key, secret))
        resources.create_all()
        for name, value in _environment(resources).items():
            environment.setenv(name, value)
        yield Aws(endpoint, resources)


def _environment(resources: Resources) -> dict[str, str]:
    functions = resources.of_kind("AWS::Lambda::Function")
    submit = functions["SubmitJobFunction"]["Environment"]["Variables"]
    return {name: str(value) for name, value in submit.items() if str(value)}


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name of its own for each call, since all tests share the stack."""
    return lambda prefix: f"{prefix}_{uuid.uuid4().hex[:8]}"
