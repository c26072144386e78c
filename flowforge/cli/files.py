"""`flowforge files`: what a file is, before a job loads it."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.text import Text

from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.layout import Rows, cell, facts, table
from flowforge.cli.options import ApiUrl, Json
from flowforge.cli.output import Output

if TYPE_CHECKING:
    from flowforge.sources.files.inspection import Inspection

app = typer.Typer(no_args_is_help=True, help="Look at files before they are loaded.")


@app.callback()
def _group() -> None:
    """Look at files before they are loaded."""


class _File(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]]


@app.command("inspect")
def inspect(
    path: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file of this machine, or s3://BUCKET/KEY: CSV, NDJSON, JSON, Parquet."),
    ],
    member: Annotated[str | None, typer.Option("--member", help="Which file of a zip.")] = None,
    api: ApiUrl = None,
    as_json: Json = False,
) -> int:
    """Propose how a file is read: compression, encoding, delimiter, header and the type of each column, with the reason.

    The whole file is read, never its beginning only. Exit code 1 where records do not fit the others."""
    from flowforge.cli.lake import lake_failures
    from flowforge.sources.files.container import look_into
    from flowforge.sources.files.inspection import inspect as look_through

    out = Output(as_json)
    try:
        with lake_failures(), out.messages.status("Reading …", spinner="line") as status:
            file = _in_bucket(path, api) if path.startswith("s3://") else _on_this_machine(Path(path))
            content = look_into(file.name, file.size, file.open, member)
            found = look_through(content, lambda records: status.update(f"Reading … {records:,} records"))
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise BadRequest(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}", "name a file that you may read"
        ) from error
    out.answer(found.model_dump(), *_shown(found))
    return FAILED if found.irregular else GOOD


def _on_this_machine(path: Path) -> _File:
    if not path.is_file():
        raise BadRequest(f"{path} is no file", "name a file of this machine, or one in a bucket: s3://BUCKET/KEY")
    return _File(path.name, path.stat().st_size, partial(path.open, "rb"))


def _in_bucket(address: str, api: str | None) -> _File:
    """The file as it is now; should it be replaced while it is read, the command fails instead of mixing both."""
    from flowforge.aws.stored_files import find_file, open_file
    from flowforge.cli.lake import open_lake

    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise BadRequest(f"{address} names no file", "write s3://BUCKET/KEY")
    version = find_file(open_lake(bucket, api), key)
    if version is None:
        raise BadRequest(f"there is no {address}", "name a file that is there")
    return _File(key.rpartition("/")[2], version.size, partial(open_file, version))


def _shown(found: "Inspection") -> Iterable[Any]:
    yield facts(
        [("file", found.name), ("bytes", f"{found.size:,}"), ("form", found.form), ("records", f"{found.records:,}")]
    )
    yield table(("what", "value", "why"), ([one.what, one.value, one.reason] for one in found.found))
    yield table(
        ("column", "type", "empty", "null", "why"),
        ([one.name, one.type, one.empty, one.nulls, one.reason] for one in found.columns),
    )
    if found.rows:
        yield Rows([one.name for one in found.columns], found.rows)
    if found.irregular:
        count = f"{found.irregular:,} record{'s do' if found.irregular > 1 else ' does'} not fit the others:"
        yield Text(count, style="yellow")
        yield table(("line", "fields", "text"), ([one.line, one.fields, one.text] for one in found.first_irregular))
    for note in found.notes:
        yield Text.assemble(("Note: ", "yellow"), cell(note))
