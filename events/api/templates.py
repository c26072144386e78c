"""Templates: workflows whose connection is left open; shipped as files, or saved by people."""

from typing import Annotated, Any

from pydantic import Field

from events.api.base import Answer, Page, unless_empty
from events.api.runs import JobDocument
from events.model import Request

MOST_TEMPLATES = 200  # of a page
TemplateLimit = Annotated[int, Field(ge=0, le=MOST_TEMPLATES), unless_empty(MOST_TEMPLATES)]


class NewTemplate(Request):
    """What a user sends to save a request as a template."""

    title: str = Field(min_length=1, max_length=200)
    about: str = Field("", max_length=2_000, description="what it does, in a sentence")
    request: JobDocument = Field(description="a job request without source_config.connection and batch_id")


class TemplateInShort(Answer):
    """A template in the list."""

    name: str
    title: str
    about: str
    workflow_id: str
    tables: list[str] = Field(description="what it reads")
    models: list[str] = Field(description="the gold tables that it makes")
    saved_at: str | None = Field(None, description="when a person saved it; none: it is shipped")


class Templates(Page):
    """Templates, by their names."""

    templates: list[TemplateInShort]


class ShownTemplate(TemplateInShort):
    """A template with its request."""

    request: dict[str, Any] = Field(description="a job request without source_config.connection")


class TemplateRun(Request):
    """What a user sends to run a template."""

    connectionId: str = Field(min_length=1, max_length=64, description="id of a saved connection")
