"""`flowforge sql`: one SELECT over silver and gold, read straight from the lake with the caller's own S3 credentials.

For the local stack these are the ones that it wrote down; for a deployed lake whatever AWS's own variables and profiles say.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli import options
from flowforge.cli.failure import GOOD, BadRequest, failure_of
from flowforge.cli.layout import Rows
from flowforge.cli.output import Output
from flowforge.cli.surroundings import leave_account_out
from flowforge.cli.target import local_stack

Bucket = Annotated[str | None, typer.Option("--bucket", help="The lake's bucket; else the local stack's.")]
WatermarksTable = Annotated[
    str | None,
    typer.Option("--watermarks-table", help="The stack's output WatermarksTable; else the local stack's."),
]


def sql(
    text: Annotated[str, typer.Argument(metavar="SELECT", help='"SELECT … FROM gold.x JOIN silver.y USING (id)"')],
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="WHEN", help="As it was: a version (of one table) or a time, UTC unless it says."
        ),
    ] = None,
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Ask the lake itself: its tables are silver.NAME, gold.NAME, quarantine.NAME and bronze.NAME."""
    out = Output(as_json)
    answer = ask(text, open_lake(bucket, api), parse_moment(as_of))
    rows = answer["rows"]
    counted = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}, {answer['seconds']:.2f} s"
    out.answer(answer, Rows(answer["columns"], rows), Text(counted, style="dim"))
    return GOOD


def open_lake(bucket: str | None, api: str | None) -> str:
    """The bucket that a command means, with this process's AWS variables set for it; BadRequest when none is known."""
    stack = local_stack(api)
    chosen = bucket or os.environ.get("FLOWFORGE_BUCKET") or (stack or {}).get("bucket")
    if chosen is None:
        raise BadRequest("which lake?", "name its bucket with --bucket, or start the local stack with `flowforge up`")
    if stack is not None:
        use_stack(stack)
    return chosen


def known_table(table: str | None, api: str | None) -> str | None:
    """The watermark table that a command means; None when none is known."""
    return table or os.environ.get("FLOWFORGE_WATERMARKS_TABLE") or (local_stack(api) or {}).get("watermarks_table")


def open_records(bucket: str | None, table: str | None, api: str | None) -> str:
    """The bucket that a command means, with this process's variables set for it and for the batches' records beside it;
    BadRequest when one of both is not known."""
    stack = local_stack(api)
    chosen = bucket or os.environ.get("FLOWFORGE_BUCKET") or (stack or {}).get("bucket")
    records = known_table(table, api)
    if not chosen or not records:
        raise BadRequest("which lake?", "name --bucket and --watermarks-table, or start the local stack: flowforge up")
    if stack is not None:
        use_stack(stack)
    os.environ["FLOWFORGE_WATERMARKS_TABLE"] = records
    return chosen


@contextmanager
def lake_failures() -> Iterator[None]:
    """Turns the errors of the lake's use cases into failures of the command."""
    from flowforge.domain.errors import FlowForgeError

    try:
        yield
    except FlowForgeError as error:
        raise failure_of(error) from error


def use_stack(stack: dict[str, Any]) -> None:
    """Points this process's AWS variables at the local stack, so that no other account is asked or changed by mistake."""
    leave_account_out()
    os.environ |= {
        "AWS_ENDPOINT_URL": stack.get("aws") or stack["s3"],  # tables and secrets are never in another S3
        "AWS_ENDPOINT_URL_S3": stack["s3"],
        "AWS_REGION": stack["region"],
        "AWS_DEFAULT_REGION": stack["region"],
        "AWS_ACCESS_KEY_ID": stack["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack["aws_secret_access_key"],
    }


def parse_moment(text: str | None) -> int | datetime | None:
    """A version number or a time; BadRequest for anything else."""
    if text is None:
        return None
    from flowforge.operations.as_of import MOMENTS, moment_of

    try:
        return moment_of(text)
    except ValueError as error:
        raise BadRequest(f"--as-of {error}", MOMENTS) from error


def ask(text: str, bucket: str, as_of: int | datetime | None = None) -> dict[str, Any]:
    """The answer of one SELECT as {"columns", "rows", "seconds"} that fits JSON; Failure when there is none."""
    from flowforge.operations.json_values import json_value
    from flowforge.operations.query import query

    with lake_failures():
        answer = query(text, bucket, as_of)
    rows = [[json_value(value) for value in row] for row in answer.rows]
    return {"columns": answer.columns, "rows": rows, "seconds": round(answer.seconds, 3)}
