"""`flowforge files rejects`: each record of a file that did not land, read from the lake with the caller's own S3 credentials."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import FAILED, GOOD, Failure
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import cell, facts, moment, table
from flowforge.cli.options import Session, api_command

_HEAD = ("file", "table", "run_id", "state", "at", "records", "rows", "rejected")
_COLUMNS = ("line", "byte_offset", "row_number", "column", "reason", "raw")
SHOWN_CHARACTERS = 120  # of a record's text in a table; --json has all that is kept
READ = ("loading", "landed", "loaded", "forgotten")  # states of a version whose records went to bronze or beside it


@api_command
def rejects(
    key: Annotated[str, typer.Argument(metavar="FILE", help="Its key, or s3://BUCKET/KEY.")],
    session: Session,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The version that this run has read; else the newest.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many records to show.")] = 50,
    bucket: Bucket = None,
) -> int:
    """Show the records of a file that did not land: where each begins, why it did not fit, and its text.

    No text is kept where the job protects columns. Exit code 1 where the file was refused, or records are not there any more."""
    with session.open() as api:
        reports = api.all_pages("files", "files", most=1_000, key=key, limit=1_000)["files"]
    report = _chosen(reports, key, run)
    if report["state"] in ("refused", "mended"):
        found, notes, code = _of_refusal(report, limit)
    elif report["state"] not in READ or not report.get("rejected"):
        found, notes, code = [], [_nothing(report)], GOOD
    else:
        found, notes, code = _of_load(report, limit, bucket, session.api)
    answer = {name: report.get(name) for name in (*_HEAD, "etag", "version_id")} | {"rejects": found, "notes": notes}
    session.out.answer(answer, *_shown(report, found), *(_note(one) for one in notes))
    return code


def _chosen(reports: list[dict[str, Any]], key: str, run: str | None) -> dict[str, Any]:
    """The version that a run has read, or the newest of which any was."""
    if run is not None:
        own = [one for one in reports if one["run_id"] == run]
        if not own:
            known = ", ".join(sorted({str(one["run_id"]) for one in reports}))
            raise Failure(f"run {run} has read no version of {key}", f"These have: {known}.", error="NotFound")
        reports = own
    return next((one for one in reports if one["state"] not in ("skipped", "given up")), reports[0])


def _nothing(report: dict[str, Any]) -> str:
    if report["state"] not in READ:
        return f"Nothing of this version landed, and no record of it is kept: it is {report['state']}."
    count = report["records"] or 0
    return f"Nothing was rejected: {'its record is a row' if count == 1 else f'all {count:,} records are rows'}."


def _of_refusal(report: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], list[str], int]:
    """What is known of a file of which nothing is in the lake: the first records that did not fit, without their texts."""
    known = [{"byte_offset": None, "raw": None} | one for one in report["rejects"]]
    notes = [f"The file was refused, nothing of it landed: {report['reason']}"]
    if known:
        notes.append("Of a refused file the first records that do not fit are known, at most ten, and no text of them.")
    return known[:limit], notes, FAILED if report["state"] == "refused" else GOOD


def _of_load(
    report: dict[str, Any], limit: int, bucket: str | None, api: str | None
) -> tuple[list[dict[str, Any]], list[str], int]:
    from flowforge.operations.rejected_records import first_rejects

    wanted = report["rejected"]
    place = report.get("rejects_at")
    if place is None:
        raise Failure(
            f"it is not known any more which object has the {wanted:,} rejected records of {report['file']}",
            f"A version before has loaded it, and its batch's record is gone: look below rejected/{report['table']}/ of the"
            " lake's bucket for an object whose column `file` has the key.",
            error="NotFound",
        )
    with lake_failures():
        chosen = open_lake(bucket, api)
        found = first_rejects(chosen, report, limit)
    where = f"s3://{chosen}/{place}"
    if not found:
        raise Failure(
            f"{wanted:,} records of {report['file']} were rejected, and they are not at {where} any more",
            "Somebody, or a lifecycle rule of the bucket, has deleted what lies below rejected/: a bucket with versions still"
            " has it. Else put the file under another name, and it is read anew.",
            error="NotFound",
        )
    notes, missing = [], min(limit, wanted) - len(found)
    if missing > 0:
        notes.append(f"{missing:,} more of its rejected records were counted, and are not at {where} any more.")
    elif wanted > len(found):
        notes.append(f"{len(found):,} of {wanted:,} are shown, the first of the file: --limit {wanted} shows all.")
    if any(one["raw"] is None for one in found):
        notes.append("Where there is no text, the table protects columns, or it was erased.")
    return found, notes, FAILED if missing > 0 else GOOD


def _shown(report: dict[str, Any], found: list[dict[str, Any]]) -> Iterable[Any]:
    yield facts([(name.replace("_", " "), moment(report[name]) if name == "at" else report[name]) for name in _HEAD])
    if found:
        names = [name.replace("_", " ") for name in _COLUMNS]
        yield table(names, ([_short(one[name]) for name in _COLUMNS] for one in found))


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"{value[:SHOWN_CHARACTERS]}…"
    return value


def _note(text: str) -> Text:
    return Text.assemble(("Note: ", "yellow"), cell(text))
