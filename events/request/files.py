"""The part of a request that names files: which of the bucket's, and how they are read."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from events.choices import ChangedFile, FileOrder
from events.files import BadRows, ColumnNames, ColumnTypes, FileCompression, FileFormat, UnknownColumns, codec_name
from events.model import Request
from events.request.file_columns import FileColumnConfig
from events.request.protection import key_by_name, known_protections, of_protection

LANDING = "landing/"
FORMS = get_args(FileFormat)
Share = Annotated[float, Field(ge=0, le=1)]
TEXTS, GRIDS = ("csv", "tsv", "fixed", "json", "ndjson"), ("csv", "tsv")
FORMATS_OF = {
    **dict.fromkeys(("delimiter", "quote", "escape"), GRIDS),
    **dict.fromkeys(("encoding",), TEXTS),
    **dict.fromkeys(("nullWords", "emptyIsNull"), (*TEXTS, "excel")),
    **dict.fromkeys(("hasHeader",), (*GRIDS, "fixed", "excel")),
    **dict.fromkeys(("skipRows", "skipFooterRows"), (*TEXTS, "excel")),
    **dict.fromkeys(("sheet", "cellRange", "headerRow"), ("excel",)),
    **dict.fromkeys(("recordsAt",), ("json",)),
    **dict.fromkeys(("flatten",), ("json", "ndjson")),
    **dict.fromkeys(("types",), (*GRIDS, "json", "ndjson", "excel")),
    **dict.fromkeys(("columnNames",), (*GRIDS, "json", "ndjson", "excel", "parquet")),
}


def checked_key(value: str) -> str:
    """A key or pattern below landing/, or below the job's own folder there. Raises ValueError."""
    if value.startswith(("s3://", "/")) or ":" in value.split("/", maxsplit=1)[0]:
        raise ValueError(
            "expected the key of an object in the lake's bucket, such as landing/crm/customers/2026-11-28.csv"
        )
    if any(part in ("", ".", "..") for part in value.removesuffix("/").split("/")) or "\0" in value:
        raise ValueError("expected a key without empty, . or .. parts; a pattern with ** takes files that have such")
    if len(value.encode()) > 1024:
        raise ValueError("is longer than a key may be (1,024 bytes)")
    return value


def _protected_columns(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is not known before a file is read cannot be protected, so its columns are all named."""
    yield from of_protection(given)
    if not (protect := given.get("protect")) or not isinstance(protect, dict):
        return
    columns = given.get("columns")
    known = [one for one in columns if isinstance(one, dict)] if isinstance(columns, list) else []
    names = {str(one.get("name")).lower() for one in known if not one.get("operations")}
    if missing := [name for name in protect if name.lower() not in names]:
        yield "protect", f"names {', '.join(missing)}: give all columns, those among them, with a name of their own"
    if given.get("unknownColumns", "refuse") != "refuse":
        yield "unknownColumns", "is refuse where a job protects columns: what has no column would land as it is"


class FileConfig(Request):
    """Which files, how they are read, and what becomes of records that do not fit. A key without landing/ is below the job's own
    folder, landing/<workflow_id>/<job_id>/; without a key all files there are meant."""

    filePath: str | list[str] | None = Field(None, description="the key of a file, or several")
    filePattern: str | None = Field(
        None, min_length=1, description="* and ? stand for characters but /, ** for folders, too"
    )
    uploadMode: Literal["single", "pattern", "directory"] | None = Field(
        None, description="of older requests: what filePath is; default: by the field that is given"
    )
    encoding: str = Field("utf-8", max_length=40)
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="default: a comma, or a tab in TSV")
    quote: str = Field('"', max_length=1, description="empty: none")
    escape: str = Field("", max_length=1, description="empty: quotes inside a field are doubled")
    hasHeader: bool = True
    skipRows: int = Field(0, ge=0, description="records before the header")
    skipFooterRows: int = Field(0, ge=0, le=10_000, description="records at the end")
    compressionType: FileCompression | None = Field(None, description="default: by the file's first bytes")
    member: str | None = Field(None, min_length=1, description="the file in a zip; default: its only one")
    nullWords: list[str] = Field(
        default_factory=list, description="texts that stand for NULL where they are not quoted"
    )
    emptyIsNull: bool = Field(True, description="a field of no characters that is not quoted is NULL")
    recordsAt: str | None = Field(None, description="JSON: path of the array of records; default: the document itself")
    flatten: bool = Field(False, description="JSON: nested objects become columns by path; else JSON text")
    sheet: str | None = Field(None, min_length=1, description="default: its only one")
    cellRange: str | None = Field(None, min_length=1, description="such as B3:F900; default: all cells")
    headerRow: int = Field(1, ge=1)
    columns: list[FileColumnConfig] = Field(
        default_factory=list, max_length=10_000, description="default: all fields of the first file, by types"
    )
    types: ColumnTypes = Field(
        "text",
        description="without columns: all fields are text, or get types by every value of the first file, kept for later ones",
    )
    columnNames: ColumnNames = Field(
        "as_written", description="of fields without a column: as the file has them, or as slugs (a-z, 0-9, _)"
    )
    badRows: BadRows = Field("strict", description="a record that does not fit refuses the file, or is kept apart")
    mostBadRows: int = Field(1_000, ge=0, description="quarantine: more of a file's records refuse it")
    mostBadShare: Share = Field(0.01, description="quarantine: a larger share of a file's records refuses it")
    unknownColumns: UnknownColumns = Field(
        "refuse",
        description="fields without a column: refuse the file, add them as text, or rescue them as JSON in _rescued",
    )
    order: FileOrder = Field(
        "name", description="in which files are applied: by key, arrival, or a date in their names"
    )
    datePattern: str | None = Field(None, min_length=4, description="of that date; default: yyyyMMdd")
    changedFile: ChangedFile = Field(
        "append",
        description="a file with new content: its rows are added, take the place of its own, or the load stops",
    )
    together: bool | None = Field(
        None, description="the files of one request are one batch; default: where rows have no key"
    )
    allowEmptyRefresh: bool = Field(False, description="a full_refresh by a file without records may empty the table")
    protect: dict[str, str] = Field(
        default_factory=dict,
        description="what becomes of personal data before a byte of it is written: a column's name to drop, null, hmac,"
        " partial(4), bucket (of dates: the year), bucket(100) (of numbers); needs columns",
    )
    protectionKey: str | None = Field(
        None, min_length=1, description='of hmac: Secrets Manager name of {"hmacKey": 64 or more hexadecimal digits}'
    )

    _protections = field_validator("protect")(known_protections)
    _key_by_name = field_validator("protectionKey")(key_by_name)

    @field_validator("filePath")
    @classmethod
    def _keys(cls, value: str | list[str] | None) -> str | list[str] | None:
        keys = [value] if isinstance(value, str) else value
        if keys is not None and (not keys or not all(keys) or len(set(keys)) != len(keys)):
            raise ValueError("expected one key or a list of different keys")
        for key in keys or []:
            checked_key(key)
        return value

    @field_validator("filePattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        return value if value is None else checked_key(value)

    @field_validator("columns")
    @classmethod
    def _different(cls, value: list[FileColumnConfig]) -> list[FileColumnConfig]:
        seen: dict[str, str] = {}
        for column in value:
            if other := seen.get(column.name.lower()):
                raise ValueError(f"two columns are named {other} and {column.name}: names differ by more than case")
            seen[column.name.lower()] = column.name
        return value

    @field_validator("encoding")
    @classmethod
    def _of_texts(cls, value: str) -> str:
        try:
            codec_name(value)
        except ValueError as error:
            raise ValueError(f"{error}: name one, as utf-8, utf-16 or windows-1252") from None
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Keys or a pattern; what is said of them fits."""
        mode, path, pattern = given.get("uploadMode"), given.get("filePath"), given.get("filePattern")
        if path and pattern and mode is None:
            yield "give filePath or filePattern, not both"
        if mode in ("single", "directory") and not path:
            yield "uploadMode", f"{mode} needs filePath"
        if mode == "pattern" and not pattern:
            yield "uploadMode", "pattern needs filePattern"
        if isinstance(path, list) and mode == "directory":
            yield "filePath", "is one folder where uploadMode is directory"
        yield from _protected_columns(given)
        if given.get("types") == "inferred" and given.get("columns"):
            yield "types", "inferred is without columns, whose types the request says: leave one of both out"
        if given.get("columnNames") == "slug" and given.get("columns") and given.get("unknownColumns") != "add":
            yield "columnNames", "slug is of fields without a column: leave columns out, or set unknownColumns add"
        if given.get("datePattern") and given.get("order") != "date":
            yield "datePattern", "needs order date"
        if given.get("badRows", "strict") != "quarantine":
            for field in ("mostBadRows", "mostBadShare"):
                if field in given:
                    yield field, "needs badRows quarantine: strict refuses a file with one such record"


class FileSource(Request):
    """The form of the files, and which they are."""

    type: FileFormat
    fileConfig: FileConfig = Field(default_factory=lambda: FileConfig.model_validate({}))

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A setting of a form is given for that form only."""
        config, form = given.get("fileConfig"), given.get("type")
        if not isinstance(config, dict):
            return
        for field, forms in FORMATS_OF.items():
            if field in config and form not in forms:
                yield f"fileConfig.{field}", f"is of {', '.join(forms)} only"
        columns = config.get("columns")
        placed = [one for one in columns if isinstance(one, dict)] if isinstance(columns, list) else []
        if form == "fixed" and not (placed and all(one.get("start") and one.get("width") for one in placed)):
            yield "fileConfig.columns", "fixed width needs columns, each with start and width"
        if form != "fixed" and any(one.get("start") is not None for one in placed):
            yield "fileConfig.columns", "start and width are of fixed width only"
