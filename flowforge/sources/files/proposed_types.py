"""Types for the columns of a file, by all of its values: what `files inspect` proposes, and a job may take of its first file.

Guarantees: the load's own cast holds each proposed type against every value of the file; where one does not fit, the column is
text. A load takes no text for NULL that its contract does not.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from events.files import FileColumn, FileContract
from flowforge.sources.files.container import Content
from flowforge.sources.files.survey import Progress, Survey, as_column, disproved, survey

MOST_TOLD = 20  # columns, in a run's notes


class Inferred(NamedTuple):
    """The columns of a file with their types, none where it has no record, and what a run tells of them."""

    columns: tuple[FileColumn, ...] = ()
    notes: tuple[str, ...] = ()


def propose_types(
    content: Content, contract: FileContract, seen: Survey, progress: Progress, own_words: bool = False
) -> tuple[FileContract, dict[str, tuple[str, str]]]:
    """The contract with columns that take every value that was `seen`; of each field its type, and why.

    Words that stand for NULL among values of a type are taken into the contract; with `own_words` it keeps its own, and a column
    with others is text."""
    names = {column.field: column.name for column in contract.columns}
    places = {one.field: {"start": one.start, "width": one.width} for one in contract.columns if one.start}
    proposed = {field: values.proposed() for field, values in seen.columns.items()}

    def typed() -> FileContract:
        columns = [
            as_column(names.get(field, field), field, values, proposed[field][0]).model_copy(
                update=places.get(field, {})
            )
            for field, values in seen.columns.items()
        ]
        words = {word for one in columns if one.type != "text" for word in seen.columns[one.field].null_words}
        kept = {} if own_words else {"null_words": sorted(words)}
        return contract.model_copy(update={"columns": columns, **kept})

    for field, why in disproved(content, typed(), progress).items():
        proposed[field] = ("text", f"as {proposed[field][0]} it could not be cast: {why}")
    return typed(), proposed


def infer_types(content: Content, contract: FileContract, progress: Progress) -> Inferred:
    """The columns of a file under a contract that has none. Raises UnsupportedSource for what a load would refuse, too."""
    seen = survey(content, contract, progress)
    if not seen.records:
        return Inferred()
    found, proposed = propose_types(content, contract, seen, progress, own_words=True)
    told = ", ".join(_told(found.columns, proposed))
    note = f"types by all {seen.records:,} records of {content.name}, kept for the job's later files: {told}"
    return Inferred(tuple(found.columns), (note,))


def _told(columns: list[FileColumn], proposed: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for one in columns[:MOST_TOLD]:
        kind, why = proposed[one.field]
        yield f"{one.name} {kind}" if kind != "text" else f"{one.name} text ({why})"
    if len(columns) > MOST_TOLD:
        yield f"and {len(columns) - MOST_TOLD:,} more"
