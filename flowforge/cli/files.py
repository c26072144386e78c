"""`flowforge files`: what a file is, before a job loads it, and what became of it then."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.text import Text

from flowforge.cli.failure import FAILED, GOOD, BadRequest
from flowforge.cli.file_rejects import rejects
from flowforge.cli.layout import Rows, cell, facts, moment, table
from flowforge.cli.options import ApiUrl, Json, Session, api_command
from flowforge.cli.output import Output

if TYPE_CHECKING:
    from flowforge.sources.files.inspection import Inspection

app = typer.Typer(no_args_is_help=True, help="Look at files before they are loaded, and at what became of them.")
app.command("rejects")(rejects)


@app.callback()
def _group() -> None:
    """Look at files before they are loaded, and at what became of them."""


@app.command("put")
def put(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file of this machine.")],
    job: Annotated[str, typer.Argument(metavar="WORKFLOW/JOB", help="The job that takes it.")],
    bucket: Annotated[str | None, typer.Option("--bucket", help="The lake's bucket; else that of the stack.")] = None,
    api: ApiUrl = None,
    as_json: Json = False,
) -> int:
    """Put a file below landing/WORKFLOW/JOB/ in the lake's bucket, under its name: the job loads it by itself."""
    from flowforge.aws.clients import aws_errors, client
    from flowforge.cli.lake import lake_failures, open_lake
    from flowforge.jobs.uploads import LONGEST_KEY_BYTES, key_of

    workflow, slash, name = job.partition("/")
    if not (workflow and slash and name) or "/" in name:
        raise BadRequest(f"{job} names no job", "write WORKFLOW/JOB, as the job's request has workflow_id and job_id")
    file = _on_this_machine(path)
    key = key_of(workflow, name, file.name)
    if len(os.fsencode(key)) > LONGEST_KEY_BYTES or not _is_text(key):
        raise BadRequest(
            f"{file.name!r} cannot be the end of a key of S3, which is UTF-8 of {LONGEST_KEY_BYTES:,} bytes at most",
            "give the file another name",
        )
    with lake_failures(), aws_errors("S3"):
        chosen = open_lake(bucket, api)
        client("s3").upload_file(str(path), chosen, key)
    Output(as_json).answer(
        {"bucket": chosen, "key": key, "bytes": file.size}, f"Put s3://{chosen}/{key}, {file.size:,} bytes."
    )
    return GOOD


@app.command("list")
@api_command
def list_files(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="A bronze table, or workflow/job; without it, all.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many files to list.")] = 50,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Those below landing/ that are not loaded: since when, and why.")
    ] = False,
) -> int:
    """List what became of files, the newest first: records parsed, landed and rejected, and the first error.

    Exit code 1 where one of them was refused."""
    asked = {"table": name, "limit": min(limit, 1_000), "state": "waiting" if waiting else None}
    with session.open() as api:
        answer = api.all_pages("files", "files", most=limit, **asked)
    if waiting:
        lines = [[one["file"], one["job"], moment(one["since"]), one["reason"]] for one in answer["files"]]
        shown = table(_WAITING, lines) if lines else "No file waits."
        session.out.answer(answer, shown, *map(_note, answer["notes"]))
        return GOOD
    found = answer["files"]
    shown = table(_REPORT, ([_reported(one, column) for column in _REPORT] for one in found))
    session.out.answer(answer, shown if found else "No file was loaded yet.", *map(_note, answer["notes"]))
    return FAILED if any(one["state"] == "refused" for one in found) else GOOD


@app.command("show")
@api_command
def show(
    key: Annotated[str, typer.Argument(metavar="FILE", help="Its key, or s3://BUCKET/KEY.")],
    session: Session,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many versions to show.")] = 20,
) -> int:
    """Show every version of a file that was loaded or refused, with the first records that did not fit."""
    with session.open() as api:
        answer = api.all_pages("files", "files", most=limit, key=key, limit=min(limit, 1_000))
    session.out.answer(answer, *(part for one in answer["files"] for part in _version(one)))
    return FAILED if any(one["state"] == "refused" for one in answer["files"]) else GOOD


_WAITING = ("file", "job", "since", "reason")
_REPORT = ("file", "table", "state", "records", "rows", "rejected", "run", "at", "reason")


def _reported(one: dict[str, Any], column: str) -> Any:
    return {"run": one["run_id"], "at": moment(one["at"]), "reason": one["first_rejected"]}.get(column, one.get(column))


def _version(one: dict[str, Any]) -> Iterable[Any]:
    names = (
        "file",
        "table",
        "state",
        "etag",
        "version_id",
        "size",
        "modified",
        "records",
        "rows",
        "rejected",
        "run_id",
        "at",
    )
    yield facts(
        [(name.replace("_", " "), moment(one[name]) if name in ("modified", "at") else one[name]) for name in names]
    )
    if one.get("reason"):
        yield Text.assemble(("Refused: ", "red"), cell(one["reason"]))
    elif one["state"] == "skipped":
        yield Text.assemble(("Skipped: ", "yellow"), "a newer snapshot is in its place: nothing of it was read")
    elif one["first_rejected"]:
        yield Text.assemble(("First rejected: ", "yellow"), cell(one["first_rejected"]))
    if one.get("rejects"):
        yield table(
            ("record", "line", "column", "reason"),
            ([reject[name] for name in ("row_number", "line", "column", "reason")] for reject in one["rejects"]),
        )


def _note(text: str) -> Text:
    return Text.assemble(("Note: ", "yellow"), cell(text))


class _File(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]]


@app.command("inspect")
def inspect(
    path: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file of this machine, or s3://BUCKET/KEY: CSV, JSON, Parquet, .xlsx."),
    ],
    member: Annotated[str | None, typer.Option("--member", help="Which file of a zip.")] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Which sheet of a workbook.")] = None,
    records_at: Annotated[str, typer.Option("--records-at", help="JSON: the path of the array of records.")] = "",
    api: ApiUrl = None,
    as_json: Json = False,
) -> int:
    """Propose how a file is read: compression, encoding, delimiter, header and the type of each column, with the reason.

    The whole file is read, never its beginning only. Exit code 1 where records do not fit the others."""
    from flowforge.cli.lake import lake_failures
    from flowforge.jobs.inspected import shown
    from flowforge.sources.files.container import look_into
    from flowforge.sources.files.inspection import inspect as look_through

    out = Output(as_json)
    try:
        with lake_failures(), out.messages.status("Reading …", spinner="line") as status:
            file = _in_bucket(path, api) if path.startswith("s3://") else _on_this_machine(Path(path))
            content = look_into(file.name, file.size, file.open, member)
            found = look_through(
                content, lambda records: status.update(f"Reading … {records:,} records"), member, sheet, records_at
            )
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise BadRequest(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}", "name a file that you may read"
        ) from error
    out.answer(shown(found), *_shown(found))
    return FAILED if found.irregular else GOOD


def _is_text(name: str) -> bool:
    """Whether a name of this machine's file system is text: others have their bytes as halves of surrogate pairs."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


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
        yield table(("line", "why", "text"), ([one.line, one.reason, one.text] for one in found.first_irregular))
    yield from map(_note, found.notes)
