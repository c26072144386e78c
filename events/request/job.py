"""The job request: what a user posts, drops as a file or puts on the bus.

The documents in docs/events.md are accepted as they stand. Field names are the users' (camelCase where they use it).
Every mistake of a document is named at once, by `parse_job_request`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator

from events.documents import Unreadable, read_json
from events.effects import part
from events.model import Request
from events.names import LABEL
from events.redaction import secrets_in_texts
from events.request import file_settings, table_settings
from events.request.database import DatabaseSource
from events.request.destinations import DestinationConfig
from events.request.files import FORMS, FileSource
from events.request.mistakes import InvalidRequest, mistakes_of
from events.request.older import as_today


def _source_kind(given: Any) -> str:
    """A source_config's part of the union: by its fileConfig, or its type."""
    if not isinstance(given, dict):
        return "(file)" if isinstance(given, FileSource) else "(database)"
    return "(file)" if "fileConfig" in given or given.get("type") in FORMS else "(database)"


MISFIT = {
    True: '"database" does not fit source_config, which names files: expected "file"',
    False: '"file" does not fit source_config, which names a database (files have a fileConfig): expected "database"',
}
SourceConfig = Annotated[
    Annotated[DatabaseSource, Tag("(database)")] | Annotated[FileSource, Tag("(file)")], Discriminator(_source_kind)
]


class JobRequest(Request):
    """A job request as users write it."""

    workflow_id: Annotated[str, Field(min_length=1, max_length=200)]
    job_id: Annotated[str, Field(min_length=1, max_length=200)]
    workflow_name: str | None = None
    job_name: str | None = None
    source_type: Literal["database", "file"]
    source_config: SourceConfig
    destination_config: DestinationConfig = DestinationConfig()
    batch_id: str | None = None

    @field_validator("batch_id")
    @classmethod
    def _label(cls, value: str | None) -> str | None:
        if value is not None and (not LABEL.fullmatch(value) or ".." in value):
            raise ValueError("expected letters, digits and . _ = + - only (at most 200), not a path")
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """The source is of the kind that is named, and fits its destinations."""
        source, shared = part(given, "source_config"), part(given, "destination_config")
        is_file = _source_kind(source) == "(file)"
        if source and given.get("source_type") == ("database" if is_file else "file"):
            yield "source_type", MISFIT[is_file]
        if is_file:
            for name in ("workflow_id", "job_id"):
                if set(str(given.get(name))) & set("/*?\\") or given.get(name) in (".", ".."):
                    yield name, "names a folder below landing/ where the source is files: expected no / * ? or \\"
            yield from file_settings.contradictions(part(source, "fileConfig"), shared)
        else:
            yield from table_settings.contradictions(part(source, "databaseConfig"), shared)


def parse_job_request(document: str | bytes | dict[str, Any], workflow_id: str | None = None) -> JobRequest:
    """Reads a job request; `workflow_id` (from the route) fills the field in, or must agree with it.

    Raises InvalidRequest with every mistake: the field's path and what was expected. No value is repeated in it, since a
    value may be a password. A secret anywhere but in connection.password is a mistake, too.
    """
    if not isinstance(document, dict):
        document = _load_json(document)
    if workflow_id is not None and document.setdefault("workflow_id", workflow_id) != workflow_id:
        raise InvalidRequest([{"field": "workflow_id", "problem": "differs from the workflow in the address"}])
    mistakes = [{"field": path, "problem": problem} for path, problem in secrets_in_texts(document)]
    document, unsupported = as_today(document)
    mistakes += [{"field": path, "problem": problem} for path, problem in unsupported]
    try:
        request = JobRequest.model_validate(document)
    except ValidationError as error:
        from events.request.near_fields import with_hints  # nobody needs it whose request is right

        raise InvalidRequest(with_hints(mistakes_of(error), JobRequest) + mistakes) from None
    if mistakes:
        raise InvalidRequest(mistakes)
    return request


def _load_json(document: Any) -> dict[str, Any]:
    """The object that a text holds; an event's detail may be anything that JSON can be."""
    try:
        loaded = read_json(document) if isinstance(document, str | bytes) else document
    except Unreadable as error:
        raise InvalidRequest([{"field": "(document)", "problem": str(error)}]) from None
    if not isinstance(loaded, dict):
        raise InvalidRequest([{"field": "(document)", "problem": "expected a JSON object"}])
    return loaded
