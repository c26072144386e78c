"""The console in a real browser, before a local stack with the stand-in. `make test-console` makes the environment it needs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.alert_receiver import ALERT_KEY, AlertReceiver, receiving_alerts
from tests.helpers.browser import PACKAGES, chromium, let_in
from tests.helpers.stack import BRIEF, Stack

collect_ignore_glob = [] if PACKAGES else ["test_*.py"]


@pytest.fixture(scope="session")
def receiver() -> Iterator[AlertReceiver]:
    """Who is told of what happens in the stack: as a webhook, and below /slack as Slack."""
    with receiving_alerts() as served:
        yield served


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, receiver: AlertReceiver) -> Iterator[Stack]:
    parameters = {
        "MaxAttempts": "2",
        "AlertWebhook": f"{receiver.url}/alerts",
        "AlertSecret": "flowforge/alerts/key",
        "AlertSlackSecret": "flowforge/alerts/slack",
        "AlertQuietHours": "1",
    }
    options = [part for name, value in parameters.items() for part in ("--parameter", f"{name}={value}")]
    running = Stack(tmp_path_factory.mktemp("console") / ".flowforge", *options, BRIEF)
    try:
        secrets = {"key": {"key": ALERT_KEY}, "slack": {"url": f"{receiver.url}/slack"}}
        for name, content in secrets.items():
            running.client("secretsmanager").create_secret(
                Name=f"flowforge/alerts/{name}", SecretString=json.dumps(content)
            )
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Any, stack: Stack) -> Iterator[Any]:
    with let_in(browser, stack, viewport={"width": 1280, "height": 800}) as opened:
        yield opened
