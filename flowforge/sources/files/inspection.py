"""What a file is, proposed from all of it: compression, encoding, dialect, columns with types, each with its reason; ten rows.

Guarantees: the readers of the load read it, and each proposed type is held against the whole file by the load's own cast: the
proposed contract takes the file as it stands. Memory is that of a portion. Nothing is decided here: what a person accepts
becomes the contract of a job.
"""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from events.files import FileContract
from flowforge.sources.files.column_names import refuse_nameless
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import Dialect
from flowforge.sources.files.drafts import Draft, Reason, compression_of, draft_of
from flowforge.sources.files.proposed_types import propose_types
from flowforge.sources.files.records import open_records
from flowforge.sources.files.survey import MOST_FOOTER, SHOWN, Progress, Survey, survey

LONGEST_SHOWN = 200
NO_FIELDS = " fields, where "  # of the reason of a record with too many, or too few


class Column(BaseModel):
    """A column and its proposed type: `empty` values are texts of no characters, `nulls` are NULL, or no field at all."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str
    reason: str
    empty: int = 0
    nulls: int = 0
    null_words: dict[str, int] = {}


class Irregular(BaseModel):
    """A record that does not fit the others: its line (a sheet's row), why, and its text."""

    line: int | None
    reason: str
    text: str


class Inspection(BaseModel):
    """What is proposed for a file, as `contract` that a job takes. `records` are those that can be read; `irregular` counts the
    others."""

    name: str
    size: int
    form: str
    found: list[Reason]
    dialect: Dialect | None = None
    records: int = 0
    columns: list[Column]
    rows: list[list[str | None]]
    irregular: int = 0
    first_irregular: list[Irregular] = []
    notes: list[str] = []
    contract: FileContract


def inspect(
    content: Content,
    progress: Progress = lambda records: None,
    member: str | None = None,
    sheet: str | None = None,
    records_at: str = "",
) -> Inspection:
    """Looks through a content; `progress` is told the number of records now and then; the names are those that a person gave.

    Raises UnsupportedSource for what a load would refuse, too."""
    if content.form == "parquet":
        return _parquet(content)
    draft = draft_of(content, sheet, records_at)
    seen = survey(content, draft.contract, progress)
    draft = _without_footer(draft, seen)
    contract, columns, notes = _columns(content, draft, seen, progress)
    others = seen.rejected - draft.contract.skip_footer_rows
    irregular = seen.first_rejected[: max(others, 0)]
    return Inspection(
        name=content.name, size=content.size, form=draft.form, found=draft.found, dialect=draft.dialect, records=seen.records,
        columns=columns, rows=[[_short(row.get(name)) for name in seen.columns] for row in seen.rows], irregular=others,
        first_irregular=[Irregular(line=one.line, reason=one.reason, text=_short(one.raw) or "") for one in irregular],
        notes=[*seen.notes, *draft.notes, *notes], contract=contract.model_copy(update={"member": member}),
    )  # fmt: skip


def _parquet(content: Content) -> Inspection:
    contract = FileContract(format="parquet")
    with open_records(content, contract) as records:
        refuse_nameless(records.fields, content.name)
        first = next(iter(records), None)
        rows = first.texts.slice(0, SHOWN).to_pylist() if first else []
        columns = [Column(name=one.name, type=one.type, reason="the file's own type") for one in records.columns]
        return Inspection(
            name=content.name, size=content.size, form="parquet", found=[compression_of(content)], records=records.counted(),
            columns=columns, rows=[[_short(value) for value in row.values()] for row in rows], notes=records.notes,
            contract=contract.model_copy(update={"columns": records.columns}),
        )  # fmt: skip


def _without_footer(draft: Draft, seen: Survey) -> Draft:
    """Takes few records of other widths at the end for a footer."""
    footer = seen.trailing
    if (
        not draft.dialect
        or not footer
        or len(footer) > MOST_FOOTER
        or any(NO_FIELDS not in one.reason for one in footer)
    ):
        return draft
    why = f"{len(footer)} at the end with another number of fields than {draft.width}: a footer, or the file is cut off there"
    update = {"skip_footer_rows": len(footer)}
    return draft.model_copy(
        update={
            "contract": draft.contract.model_copy(update=update),
            "dialect": draft.dialect.model_copy(update=update),
            "found": [*draft.found, Reason(what="skipFooterRows", value=str(len(footer)), reason=why)],
        }
    )


def _columns(
    content: Content, draft: Draft, seen: Survey, progress: Progress
) -> tuple[FileContract, list[Column], list[str]]:
    """The contract with columns that take every value of the file, what is told of them, and notes."""
    refuse_nameless(seen.columns, content.name)
    found, reasons = propose_types(content, draft.contract, seen, progress)
    columns = []
    for one in found.columns:
        values, (kind, reason) = seen.columns[one.field], reasons[one.field]
        nulls = seen.records - values.values - values.empty - sum(values.null_words.values())
        columns.append(
            Column(
                name=one.name, type=kind, reason=reason, empty=values.empty, nulls=nulls, null_words=values.null_words
            )
        )
    return found, columns, list(_word_notes(found, seen))


def _word_notes(contract: FileContract, seen: Survey) -> Iterator[str]:
    for word in contract.null_words:
        also = [
            one.name for one in contract.columns if one.type == "text" and word in seen.columns[one.field].null_words
        ]
        if also:
            yield f"{word!r} stands for NULL in every column, also in {', '.join(also[:10])}, where it could be a text"


def _short(value: object) -> str | None:
    text = None if value is None else str(value)
    return text if text is None or len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
