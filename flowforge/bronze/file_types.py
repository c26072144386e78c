"""Types that a job takes of its first file: used for the later ones, as if its request had said them."""

from dataclasses import replace

from events.targets import SourceFiles
from flowforge.domain.batch import Batch
from flowforge.sources.base import Session
from flowforge.sources.files.column_names import with_names
from flowforge.sources.plans import Description
from flowforge.sources.reports import ReadReport
from flowforge.state.file_types import keep_types, kept_types, types_of
from flowforge.state.table import TableState


def with_kept_types(session: Session, description: Description, state: TableState) -> Description:
    """The description with the columns that were kept, where a job infers their types; else the same."""
    read = description.wanted.read
    if not isinstance(read, SourceFiles) or read.contract.columns or read.contract.types != "inferred":
        return description
    if not (columns := kept_types(state)):
        return description
    named = with_names(columns, read.contract.column_names, read.title)
    contract = read.contract.model_copy(update={"columns": named})
    typed = read.model_copy(update={"contract": contract})
    return session.describe(replace(description.wanted, read=typed))


def note_types(batch: Batch, read: ReadReport) -> None:
    """Keeps the types of a batch that is read and not yet landed, where it is the job's first; without a row nothing is known."""
    if read.types and (first := next((one.file for one in read.files if one.rows), None)):
        keep_types(batch.source_key, types_of(batch, list(read.types), first))
