"""`flowforge sql`: one SELECT over silver and gold, read straight from the lake with the caller's own S3 credentials.

For the local stack these are the ones that it wrote down; for a deployed lake whatever AWS's own variables and profiles say.
"""

import os
from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli import options
from flowforge.cli.failure import GOOD, BadRequest, Failure
from flowforge.cli.output import Output, Rows
from flowforge.cli.target import local_stack


def sql(
    text: Annotated[str, typer.Argument(metavar="SELECT", help='"SELECT … FROM gold.x JOIN silver.y USING (id)"')],
    bucket: Annotated[str | None, typer.Option("--bucket", help="The lake's bucket; else the local stack's.")] = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Ask the lake itself: its tables are silver.NAME, gold.NAME, quarantine.NAME and bronze.NAME."""
    out = Output(as_json)
    stack = local_stack(api)
    chosen = bucket or os.environ.get("FLOWFORGE_BUCKET") or (stack or {}).get("bucket")
    if chosen is None:
        raise BadRequest("which lake?", "name its bucket with --bucket, or start the local stack with `flowforge up`")
    if stack is not None:
        use_stack(stack)
    answer = ask(text, chosen)
    rows = answer["rows"]
    counted = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}, {answer['seconds']:.2f} s"
    out.answer(answer, Rows(answer["columns"], rows), Text(counted, style="dim"))
    return GOOD


def use_stack(stack: dict[str, Any]) -> None:
    """Points this process's AWS variables at the local stack, so that no other account is asked or changed by mistake."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        os.environ.pop(name, None)
    os.environ |= {
        "AWS_ENDPOINT_URL": stack["s3"],
        "AWS_REGION": stack["region"],
        "AWS_DEFAULT_REGION": stack["region"],
        "AWS_ACCESS_KEY_ID": stack["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack["aws_secret_access_key"],
    }


def ask(text: str, bucket: str) -> dict[str, Any]:
    """The answer of one SELECT as {"columns", "rows", "seconds"} that fits JSON; Failure when there is none."""
    from flowforge.errors import FlowForgeError
    from flowforge.lake.query import json_value, query

    try:
        answer = query(text, bucket)
    except FlowForgeError as error:
        raise Failure(str(error), error.remedy, error=type(error).__name__) from error
    rows = [[json_value(value) for value in row] for row in answer.rows]
    return {"columns": answer.columns, "rows": rows, "seconds": round(answer.seconds, 3)}
