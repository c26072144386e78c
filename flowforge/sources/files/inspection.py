"""What a file is, proposed from all of it: compression, encoding, dialect, columns with types, each with its reason; ten rows.

Guarantees: the readers of the load read it, and each proposed type is held against the whole file by the load's own cast: the
proposed contract takes the file as it stands. Memory is that of a portion. Nothing is decided here: what a person accepts
becomes the contract of a job.
"""

import json
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import SAMPLE_BYTES, Dialect, propose_dialect
from flowforge.sources.files.encoding import Encoding, find_encoding
from flowforge.sources.files.fixed_width import FixedWidth, propose_fixed
from flowforge.sources.files.framing import chunks_of, codec_of
from flowforge.sources.files.json_text import JsonText, arrays_in
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


class Reason(BaseModel):
    """One thing that was found, and why."""

    what: str
    value: str
    reason: str = ""


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


class _Draft(BaseModel):
    """How a file is read to find its columns, and why so."""

    contract: FileContract
    form: str
    found: list[Reason]
    dialect: Dialect | None = None
    width: int = 0
    notes: list[str] = []


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
    draft = _draft(content, sheet, records_at)
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
        first = next(iter(records), None)
        rows = first.texts.slice(0, SHOWN).to_pylist() if first else []
        columns = [Column(name=one.name, type=one.type, reason="the file's own type") for one in records.columns]
        return Inspection(
            name=content.name, size=content.size, form="parquet", found=[_compression(content)], records=records.counted(),
            columns=columns, rows=[[_short(value) for value in row.values()] for row in rows], notes=records.notes,
            contract=contract.model_copy(update={"columns": records.columns}),
        )  # fmt: skip


def _compression(content: Content) -> Reason:
    member = f", member {content.member}" if content.member else ""
    return Reason(what="compression", value=content.compression + member, reason="by its first bytes")


def _draft(content: Content, sheet: str | None, records_at: str) -> _Draft:
    found = [_compression(content)]
    if content.form == "excel":
        return _Draft(contract=FileContract(format="excel", sheet=sheet), form="excel", found=found)
    encoding = find_encoding(content)
    found.append(Reason(what="encoding", value=encoding.name, reason=encoding.reason))
    codec = encoding.codec.removesuffix("-sig")
    sample = _sample(content, codec)
    if not sample.strip():
        raise UnsupportedSource(f"{content.name} has no character but blanks", "deliver it again")
    if (opening := sample.lstrip()[:1]) in (b"{", b"["):
        return _json(content, FileContract(format="json", encoding=codec), sample, opening, records_at, found)
    return _delimited(content, encoding, codec, sample, found)


def _sample(content: Content, codec: str) -> bytes:
    parts, size = list[bytes](), 0
    chunks = chunks_of(content, codec)
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= SAMPLE_BYTES:
            break
    chunks.close()
    return b"".join(parts)[:SAMPLE_BYTES]


def _delimited(content: Content, encoding: Encoding, codec: str, sample: bytes, found: list[Reason]) -> _Draft:
    proposal = propose_dialect(sample, codec_of(codec)[0], content.name)
    if not proposal.dialect.delimiter and (fixed := propose_fixed(content, codec)):
        return _fixed(fixed, codec, found)
    dialect, width = proposal.dialect, proposal.width
    places = range(1, width + 1 if not dialect.header else 1)
    form = "tsv" if dialect.delimiter == "\t" else "csv"
    contract = FileContract(
        format=form, encoding=codec, columns=[FileColumn(name=f"column_{n}", field=str(n)) for n in places],
        **dialect.model_dump(),
    )  # fmt: skip
    found += [
        Reason(what=name, value=_shown(getattr(dialect, name)), reason=why) for name, why in proposal.reasons.items()
    ]
    return _Draft(contract=contract, form="delimited", found=found, dialect=dialect, width=width)


def _fixed(fixed: FixedWidth, codec: str, found: list[Reason]) -> _Draft:
    contract = FileContract(format="fixed", encoding=codec, header=fixed.header, columns=fixed.columns)
    why = "no delimiter splits most records alike, all lines have one length, and some places are blank in all of them"
    found = [
        *found,
        Reason(what="format", value="fixed", reason=why),
        Reason(what="header", value=_shown(fixed.header), reason=fixed.header_reason),
    ]
    for one, reason in zip(fixed.columns, fixed.reasons, strict=True):
        found.append(Reason(what=f"place of {one.name}", value=f"start {one.start}, width {one.width}", reason=reason))
    return _Draft(contract=contract, form="fixed width", found=found, notes=fixed.notes)


def _json(
    content: Content, contract: FileContract, sample: bytes, opening: bytes, records_at: str, found: list[Reason]
) -> _Draft:
    reason, notes = "it begins with [: one array of records", []
    first, _, behind = sample.strip().partition(b"\n")
    if records_at:
        contract = contract.model_copy(update={"records_at": records_at})
        reason = f"its records are at {records_at}"
    elif opening == b"{":
        is_line = _is_json(first) and (bool(behind) or len(sample) < SAMPLE_BYTES)
        paths = None if is_line and behind else _paths(content, contract.encoding)
        if is_line or paths is None:
            contract = contract.model_copy(update={"format": "ndjson"})
            reason = "its first line is an object" if is_line else "it is no document, so it may be of lines"
            notes = [f"its only line has an array of objects at {one}: is that what is meant?" for one in paths or ()]
        elif len(paths) == 1:
            contract = contract.model_copy(update={"records_at": paths[0]})
            reason = f"its only array of objects is at {paths[0]}"
        else:
            what = f"arrays of objects at {', '.join(paths[:10])}" if paths else "no array of objects"
            raise UnsupportedSource(f"{content.name} is one object with {what}", "name the records' path in records_at")
    value = f"{contract.format}, records at {contract.records_at}" if contract.records_at else contract.format
    found.append(Reason(what="format", value=value, reason=reason))
    return _Draft(contract=contract, form="json", found=found, notes=notes)


def _paths(content: Content, encoding: str) -> list[str] | None:
    """Where the arrays of objects are in a document that is one object; None where it is none."""
    chunks = chunks_of(content, encoding)
    try:
        text = JsonText(chunks, content.name)
        paths = list(arrays_in(text))
        return None if text.next_sign() else paths
    except UnsupportedSource:
        return None
    finally:
        chunks.close()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _without_footer(draft: _Draft, seen: Survey) -> _Draft:
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
            "found": [*draft.found, Reason(what="skip_footer_rows", value=str(len(footer)), reason=why)],
        }
    )


def _columns(
    content: Content, draft: _Draft, seen: Survey, progress: Progress
) -> tuple[FileContract, list[Column], list[str]]:
    """The contract with columns that take every value of the file, what is told of them, and notes."""
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


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "tab" if value == "\t" else str(value) or "none"


def _short(value: object) -> str | None:
    text = None if value is None else str(value)
    return text if text is None or len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
