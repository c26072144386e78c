"""`flowforge sql`: one SELECT over silver and gold, read straight from the lake with the caller's own S3 credentials.

For the local stack these are the ones that it wrote down; for a deployed lake whatever AWS's own variables and profiles say.
"""

import os
from typing import Annotated, Any

import typer

from flowforge.cli import options
from flowforge.cli.failure import GOOD, BadRequest
from flowforge.cli.output import Output, table
from flowforge.cli.target import local_stack

DEFAULT_BUCKET = "flowforge-data"


def sql(
    text: Annotated[str, typer.Argument(metavar="SELECT", help='"SELECT ... FROM gold.x JOIN silver.y USING (id)"')],
    bucket: Annotated[str | None, typer.Option(help="The lake's bucket; else the local stack's.")] = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Ask the lake: tables are silver.NAME, gold.NAME and bronze.NAME."""
    out = Output(as_json)
    stack = local_stack(api)
    if stack is not None:
        os.environ.update(stack_environment(stack))
    elif bucket is None and "FLOWFORGE_BUCKET" not in os.environ:
        raise BadRequest("which lake?", "name its bucket with --bucket, or start the local stack with `flowforge up`")
    chosen = bucket or os.environ.get("FLOWFORGE_BUCKET") or (stack or {}).get("bucket") or DEFAULT_BUCKET
    columns, rows = ask(text, chosen)
    out.answer({"columns": columns, "rows": rows}, table(columns, rows))
    return GOOD


def stack_environment(stack: dict[str, Any]) -> dict[str, str]:
    """AWS's own variables for the local stack's S3."""
    return {
        "AWS_ENDPOINT_URL": stack["s3"],
        "AWS_REGION": stack["region"],
        "AWS_DEFAULT_REGION": stack["region"],
        "AWS_ACCESS_KEY_ID": stack["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack["aws_secret_access_key"],
    }


def ask(text: str, bucket: str) -> tuple[list[str], list[list[Any]]]:
    """The columns and rows of a SELECT over the lake; Failure when it cannot be answered."""
    raise NotImplementedError
