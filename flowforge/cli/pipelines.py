"""What a folder of pipelines says, once its files are read (`cli.pipeline_files`)."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from events.model import Request

Mistake = dict[str, str]


class PasswordPlace(Request):
    """Where a password is."""

    env: str | None = Field(None, min_length=1)
    file: str | None = Field(None, min_length=1)


class WorkflowFile(Request):
    """A workflow: a template's form."""

    title: str = ""
    about: str = ""
    request: dict[str, Any]


@dataclass(frozen=True)
class ConnectionFile:
    """A connection as its file says; `fields` are what may be compared, `place` is where its password is."""

    file: str
    fields: dict[str, Any]
    place: PasswordPlace
    folder: Path

    def password(self) -> str:
        """The password; raises ValueError that says how to bring it."""
        if self.place.env:
            if found := os.environ.get(self.place.env):
                return found
            raise ValueError(f"the variable {self.place.env} is not set: export it before you apply")
        path = self.folder / (self.place.file or "")
        try:
            found = path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file that it names cannot be read: {type(error).__name__}") from None
        if not found:
            raise ValueError("the file that it names is empty")
        return found


@dataclass(frozen=True)
class ScheduleFile:
    """A schedule as its file says: `when` has cron, rate or after, timezone and paused; `request` is the whole request."""

    file: str
    when: dict[str, Any]
    request: dict[str, Any]
    connection: str | None


@dataclass
class Pipelines:
    """A folder: what it says of each kind by name; `managed` are the kinds that it has a folder for."""

    managed: set[str] = field(default_factory=set)
    connections: dict[str, ConnectionFile] = field(default_factory=dict)
    schedules: dict[str, ScheduleFile] = field(default_factory=dict)  # by workflow_id
    models: dict[str, str] = field(default_factory=dict)  # by gold table
    unscheduled: list[str] = field(default_factory=list)  # workflows, by their files
