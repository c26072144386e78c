"""The kinds of source, one line each: a new kind is a folder beside this file and a line in `KINDS`.

A kind is imported when the first of its connections comes, so that a function has only the drivers that it uses.
"""

from functools import cache
from pkgutil import resolve_name

from events.request import Connection
from events.targets import SourcePlace
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.base import Source
from flowforge.sources.target import Target, target_of

KINDS = {
    "sql-server": "flowforge.sources.sqlserver.source:SqlServer",
    "file": "flowforge.sources.files.source:Files",
}


@cache
def kind_of(name: str) -> type[Source]:
    """The kind of that name. Raises UnsupportedSource."""
    if name not in KINDS:
        raise UnsupportedSource(f"there is no kind of source {name!r}", f"use one of {', '.join(KINDS)}")
    return resolve_name(KINDS[name])


def source_at(reference: SourcePlace) -> Source:
    """The source that a reference names; its login comes from the secret store when it is needed."""
    return kind_of(reference.kind)(reference)


def source_of(target: Target) -> Source:
    """The source of a target, with the login that was read with it."""
    return kind_of(target.reference.kind)(target.reference, target.credentials)


def source_named(connection: Connection) -> Source:
    """The source of a connection that a caller names; raises InvalidRequest or NotFound."""
    return source_of(target_of(connection))


def saved_source(connection_id: str) -> Source:
    """The source of a saved connection; raises NotFound."""
    return source_named(Connection(connectionId=connection_id))


def prepare() -> None:
    """Imports what reading takes, of each kind: for a function that reads."""
    for name in KINDS:
        kind_of(name).prepare()
