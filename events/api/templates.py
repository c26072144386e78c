"""Templates: workflows as files, whose connection is left open."""

from typing import Any

from pydantic import Field

from events.api.base import Answer
from events.model import Request


class TemplateInShort(Answer):
    """A template in the list."""

    name: str
    title: str
    about: str
    workflow_id: str
    tables: list[str] = Field(description="what it reads")
    models: list[str] = Field(description="the gold tables that it makes")


class Templates(Answer):
    """All templates, by their names."""

    templates: list[TemplateInShort]


class ShownTemplate(TemplateInShort):
    """A template with its request."""

    request: dict[str, Any] = Field(description="a job request without source_config.connection")


class TemplateRun(Request):
    """What a user sends to run a template."""

    connectionId: str = Field(min_length=1, max_length=64, description="id of a saved connection")
