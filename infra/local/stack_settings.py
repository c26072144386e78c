"""What a local stack is started with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flowforge.cli.keys import Keys
from infra.local.data_directory import DataDirectory


@dataclass(frozen=True)
class StackSettings:
    """What a stack is started with; ports are preferences, 0 means any."""

    template: Path
    state: Path  # the state directory
    stack_name: str = "flowforge"
    port: int = 8080
    aws_port: int = 5566
    sqlserver_port: int = 1433
    bank_scale: float = 1
    with_sqlserver: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False
    warm: bool = True
    s3_endpoint: str | None = None
    data: DataDirectory | None = None  # where the embedded AWS keeps what it holds

    @property
    def logs(self) -> Path:
        """Return where the functions' and servers' output goes."""
        return self.state / "logs"

    @property
    def scratch(self) -> Path:
        """Where functions put temporary files: a worker that is killed leaves its own, which go with the stack."""
        return self.state / "tmp"


def s3_credentials(keys: Keys) -> tuple[str, str]:
    """Return the key id and secret of another S3; infra/compose.yaml reads the same variables and has the same defaults.

    An SDK has one pair for all services, so the embedded AWS beside it takes this pair as well: it must be no known one.
    """
    return (
        os.environ.get("FLOWFORGE_S3_ACCESS_KEY_ID") or "flowforge",
        os.environ.get("FLOWFORGE_S3_SECRET_ACCESS_KEY") or keys.token,
    )
