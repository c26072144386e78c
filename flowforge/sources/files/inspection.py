"""What a file is, proposed from all of it: compression, encoding, dialect, columns with types, each with its reason; ten rows.

Guarantees: one pass over the whole file for its encoding, one for its records; memory is that of a batch of records. Nothing is
decided here: what a person accepts becomes the contract of a job.
"""

import io
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import SAMPLE_CHARACTERS, Dialect, propose_dialect, read_records
from flowforge.sources.files.encoding import Encoding, find_encoding
from flowforge.sources.files.json_records import read_objects
from flowforge.sources.files.values import ColumnValues

BATCH = 8_192
SHOWN = 10
LONGEST_SHOWN = 200
MOST_COLUMNS = 10_000
MOST_FOOTER = 10
Progress = Callable[[int], None]


class Column(BaseModel):
    """A column and its proposed type: `empty` values are of no characters, `nulls` are JSON's null or no field at all."""

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
    """A record that does not fit the others: where it begins, how many fields it has (0: it is no object), its text."""

    line: int
    fields: int
    text: str


class Inspection(BaseModel):
    """What is proposed for a file. `records` are those with as many fields as most; `irregular` counts the others."""

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


def inspect(content: Content, progress: Progress = lambda records: None) -> Inspection:
    """Looks through a content; `progress` is told the number of records now and then. Raises UnsupportedSource."""
    if content.form == "parquet":
        return _parquet(content)
    encoding = find_encoding(content)
    with _text_of(content, encoding) as text:
        sample = text.read(SAMPLE_CHARACTERS)
    if not sample.strip():
        raise UnsupportedSource(f"{content.name} has no character but blanks", "deliver it again")
    if (opening := sample.lstrip()[:1]) in ("{", "["):
        return _json(content, encoding, opening == "[", progress)
    return _delimited(content, encoding, sample, progress)


def _text_of(content: Content, encoding: Encoding) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(content.open(), 2**18), encoding=encoding.codec, newline="")


def _general(content: Content, encoding: Encoding | None = None) -> list[Reason]:
    member = f", member {content.member}" if content.member else ""
    found = [Reason(what="compression", value=content.compression + member, reason="by its first bytes")]
    if encoding:
        found.append(Reason(what="encoding", value=encoding.name, reason=encoding.reason))
    return found


def _delimited(content: Content, encoding: Encoding, sample: str, progress: Progress) -> Inspection:
    proposal = propose_dialect(sample, content.name)
    dialect, width = proposal.dialect, proposal.width
    names: list[str] = []
    columns: list[ColumnValues] = []
    batch: list[list[str]] = []
    rows: list[list[str | None]] = []
    irregular: list[Irregular] = []
    trailing: list[Irregular] = []
    records = others = 0
    if width > MOST_COLUMNS:
        raise UnsupportedSource(f"{content.name} has {width:,} columns", f"a table has at most {MOST_COLUMNS:,}")
    with _text_of(content, encoding) as text:
        for number, record in enumerate(read_records(text, dialect, content.name)):
            if number < dialect.skip_rows:
                continue
            fields = record.fields
            if len(fields) != width:
                others += 1
                odd = Irregular(line=record.line, fields=len(fields), text=_short(dialect.delimiter.join(fields)))
                if len(trailing) <= MOST_FOOTER:  # more are no footer
                    trailing.append(odd)
                irregular = [*irregular, odd][:SHOWN]
                continue
            if not names:
                names = fields if dialect.header else [f"column_{place}" for place in range(1, width + 1)]
                columns = [ColumnValues(name) for name in names]
                if dialect.header:
                    continue
            trailing.clear()
            records += 1
            batch.append(fields)
            if len(rows) < SHOWN:
                rows.append([_short(field) for field in fields])
            if len(batch) == BATCH:
                _take(columns, batch, records)
                progress(records)
    _take(columns, batch, records)
    reasons = dict(proposal.reasons)
    if trailing and len(trailing) <= MOST_FOOTER:
        dialect = dialect.model_copy(update={"skip_footer_rows": len(trailing)})
        reasons["skip_footer_rows"] = (
            f"{len(trailing)} at the end with another number of fields than {width}: a footer, or the file is cut off there"
        )
        others -= len(trailing)
        irregular = [odd for odd in irregular if odd.line < trailing[0].line]
    found = _general(content, encoding)
    found += [Reason(what=name, value=_shown(getattr(dialect, name)), reason=why) for name, why in reasons.items()]
    return Inspection(
        name=content.name, size=content.size, form="delimited", found=found, dialect=dialect, records=records,
        columns=[_column(column) for column in columns], rows=rows, irregular=others, first_irregular=irregular,
        notes=[*content.notes, *_name_notes(names)],
    )  # fmt: skip


def _take(columns: Sequence[ColumnValues], batch: list[list[str]], records: int) -> None:
    first = records - len(batch) + 1
    for column, texts in zip(columns, zip(*batch, strict=True), strict=False):
        column.add(pa.array(texts, pa.string()), first)
    batch.clear()


def _column(values: ColumnValues, records: int | None = None) -> Column:
    kind, reason = values.proposed()
    nulls = 0 if records is None else records - values.values - values.empty - sum(values.null_words.values())
    return Column(
        name=values.name, type=kind, reason=reason, empty=values.empty, nulls=nulls, null_words=values.null_words
    )


def _name_notes(names: Sequence[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.strip().lower(), name)
        if other is not name:
            yield f"two columns have one name: {other!r} and {name!r}; rename one in a column mapping"


def _json(content: Content, encoding: Encoding, is_array: bool, progress: Progress) -> Inspection:
    columns: dict[str, ColumnValues] = {}
    firsts: list[dict[str, str | None]] = []
    batch: list[dict[str, str | None]] = []
    irregular: list[Irregular] = []
    records = others = 0
    with _text_of(content, encoding) as text:
        for record in read_objects(text, is_array, content.name):
            if record.fields is None:
                others += 1
                irregular = [*irregular, Irregular(line=record.line, fields=0, text=_short(record.text))][:SHOWN]
                continue
            records += 1
            batch.append(record.fields)
            if len(firsts) < SHOWN:
                firsts.append(record.fields)
            if len(batch) == BATCH:
                _take_objects(columns, batch, records, content.name)
                progress(records)
    _take_objects(columns, batch, records, content.name)
    rows = [[None if (text := one.get(name)) is None else _short(text) for name in columns] for one in firsts]
    return Inspection(
        name=content.name, size=content.size, form="json", found=_general(content, encoding), records=records,
        columns=[_column(column, records) for column in columns.values()], rows=rows, irregular=others,
        first_irregular=irregular, notes=[*content.notes, *_name_notes(list(columns))],
    )  # fmt: skip


def _take_objects(
    columns: dict[str, ColumnValues], batch: list[dict[str, str | None]], records: int, where: str
) -> None:
    first = records - len(batch) + 1
    for one in batch:
        for name in one:
            if name not in columns:
                columns[name] = ColumnValues(name)
    if len(columns) > MOST_COLUMNS:
        raise UnsupportedSource(
            f"{where}: more than {MOST_COLUMNS:,} different fields", "keep what varies in one field"
        )
    for name, column in columns.items():
        told = [(place, text) for place, one in enumerate(batch) if (text := one.get(name)) is not None]
        if told:
            column.add(pa.array([text for _, text in told], pa.string()), first + told[0][0])
    batch.clear()


def _parquet(content: Content) -> Inspection:
    with content.open_file() as stream:
        try:
            file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
            first = next(file.iter_batches(SHOWN), None)
        except pa.ArrowException as error:
            raise UnsupportedSource(f"{content.name} is damaged: {error}", "deliver it again") from error
        schema, records = file.schema_arrow, file.metadata.num_rows
    rows = first.to_pylist() if first else []
    return Inspection(
        name=content.name, size=content.size, form="parquet", found=_general(content), records=records,
        columns=[Column(name=one.name, type=str(one.type), reason="the file's own type") for one in schema],
        rows=[[None if value is None else _short(str(value)) for value in row.values()] for row in rows],
        notes=[*content.notes, *_name_notes(schema.names)],
    )  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "tab" if value == "\t" else str(value) or "none"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
