"""How the files of a job are read: format, dialect, columns with their types. It is stored with the job and holds for each file.

Types are neutral: "text", "boolean", "bigint", "double", "decimal(p,s)", "date", "timestamp" (no zone), "timestamp with zone"
(kept as UTC), "json" (a nested value as its JSON text).
"""

import codecs
from typing import Literal

from pydantic import Field

from events.choices import ChangeType
from events.model import Message

FileFormat = Literal["csv", "tsv", "fixed", "json", "ndjson", "parquet", "excel"]
FileCompression = Literal["none", "gzip", "zstd", "zip"]
BadRows = Literal["strict", "quarantine"]
Thousands = Literal["", ".", ",", " ", "'", "\u00a0", "\u202f"]
UnknownColumns = Literal["refuse", "add", "rescue"]
ColumnTypes = Literal["text", "inferred"]
ColumnNames = Literal["as_written", "slug"]


def codec_name(encoding: str) -> str:
    """What Python calls an encoding of texts. Raises ValueError for what is none, other codecs (base64, rot13) among them."""
    try:
        "a".encode(encoding)  # a codec of something else fails here
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        raise ValueError(f"{encoding!r} is no encoding") from None


class FileColumn(Message):
    """One column of the lake and where a record has it.

    `field` is its name in the header, its path in a JSON object (`address.city`), or, where there is no header, its place from 1
    as text; for fixed width `start` (from 1) and `width` are in characters. `pattern` is that of a date or timestamp, in the
    letters of Unicode TR 35 that `flowforge files inspect` prints (`dd.MM.yyyy`); empty: ISO 8601. `decimal_comma`: numbers have
    a comma where others have a point. `thousands` is a sign between each three digits before it, where a number has it.
    `operations` are the values of a column that tells what became of its row, and what each means: in the lake its name is
    `_change_type`.
    """

    name: str
    field: str
    type: str = "text"
    pattern: str = ""
    decimal_comma: bool = False
    thousands: Thousands = ""
    nullable: bool = True
    start: int | None = None
    width: int | None = None
    operations: dict[str, ChangeType] | None = None


class FileContract(Message):
    """How each file of a job is read.

    `null_words` are texts that stand for NULL, where they are not quoted. `empty_is_null`: so does a field of no characters that
    is not quoted; a quoted one ("") is an empty text. `encoding` is a codec of Python. `quote` empty: none. `escape` empty:
    quotes inside are doubled. `skip_rows` and `skip_footer_rows` are records. `sheet`, `cell_range` and `header_row` are a
    workbook's. `columns` empty: all that the first file has, by `types` as text, or with the types that all of its values hold.
    """

    format: FileFormat
    compression: FileCompression | None = Field(default=None, description="None: by the file's first bytes")
    member: str | None = Field(default=None, description="the file in a zip; None: its only one")
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    skip_rows: int = 0
    skip_footer_rows: int = 0
    null_words: list[str] = Field(default_factory=list)
    empty_is_null: bool = True
    records_at: str = Field(default="", description="JSON: path of the array of records; empty: the document itself")
    flatten: bool = Field(default=False, description="JSON: nested objects become columns by path; else JSON text")
    sheet: str | None = None
    cell_range: str | None = None
    header_row: int = 1
    columns: list[FileColumn] = Field(default_factory=list)
    bad_rows: BadRows = "strict"
    most_bad_rows: int = Field(default=1_000, description="quarantine: more rejected records of a file refuse it")
    most_bad_share: float = Field(default=0.01, description="quarantine: a larger share of a file's records refuses it")
    unknown_columns: UnknownColumns = "refuse"
    types: ColumnTypes = Field(default="text", description="of a contract without columns")
    column_names: ColumnNames = Field(default="as_written", description="of fields without a column")

    @property
    def tells_changes(self) -> bool:
        """Whether records say what became of a row: they are changes of a table, not rows of it."""
        return any(column.operations for column in self.columns)
