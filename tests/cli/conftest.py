"""The command line as users run it: a real process in an empty folder, speaking to a real HTTP server.

The server answers as the API is documented to, and keeps what it was asked.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command_line import CannedApi, CommandLine, Told, canned_api
from tests.helpers.servers import AWS_KEYS

# Commands are forked but where the process itself is tried, with its encodings or with what it starts.
NEW_INTERPRETERS = ("test_cli_encodings", "test_cli_up")


def _command_line(request: pytest.FixtureRequest, folder: Path, **more: str) -> CommandLine:
    return CommandLine(folder, _environment() | more, forked=request.path.stem not in NEW_INTERPRETERS)


def _environment() -> dict[str, str]:
    ours = ("FLOWFORGE_", "AWS_", "NO_COLOR", "COLUMNS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(ours)}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "", "AWS_SHARED_CREDENTIALS_FILE": ""}


@pytest.fixture
def told() -> type[Told]:
    """Documents as the API gives them."""
    return Told


@pytest.fixture
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> CommandLine:
    """The command line where no API is configured and no stack runs."""
    return _command_line(request, tmp_path)


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as served:
        yield served


@pytest.fixture
def flowforge(request: pytest.FixtureRequest, tmp_path: Path, api: CannedApi) -> CommandLine:
    """The command line with FLOWFORGE_API_URL set to the canned API."""
    return _command_line(request, tmp_path, FLOWFORGE_API_URL=api.url)


@pytest.fixture
def stack_file(tmp_path: Path, api: CannedApi) -> Callable[..., dict[str, Any]]:
    """Writes the stack.json of a stack that runs (this process) and serves the canned API."""

    def write(**known: Any) -> dict[str, Any]:
        stack = {
            "api": api.url,
            "s3": "http://127.0.0.1:9",
            "bucket": "flowforge-data",
            "region": "us-east-1",
            **AWS_KEYS,
            "sqlserver": {
                "host": "localhost",
                "port": 1433,
                "database": "BFSI_Test",
                "username": "sa",
                "password": "FlowForge2024!",
            },
            "pid": os.getpid(),
        } | known
        folder = tmp_path / ".flowforge"
        folder.mkdir(exist_ok=True)
        (folder / "stack.json").write_text(json.dumps(stack))
        return stack

    return write
