"""`flowforge token`: what programs send to the local stack's API; for curl, MinIO and scripts."""

from pathlib import Path
from typing import Annotated

import typer

from flowforge.cli import options, private_files
from flowforge.cli.failure import GOOD
from flowforge.cli.keys import keys_in
from flowforge.cli.output import Output, document_text
from flowforge.cli.stack import STATE_DIR, find_stack, writable


def token(
    state_dir: Annotated[str | None, typer.Option(help="Of the stack of this folder; else the one that runs.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Of the stack that keeps what it holds there.")] = None,
    as_json: options.Json = False,
) -> int:
    """Print the token that the local stack asks for: curl -H "Authorization: Bearer $(flowforge token)" ..."""
    out = Output(as_json)
    stack = None if state_dir or data_dir else find_stack()
    known = (stack or {}).get("token")
    if known is None:
        folder = private_files.make_folder(Path(data_dir)) if data_dir else writable(Path(state_dir or STATE_DIR))
        known = keys_in(folder).token
    out.line(document_text({"token": known}) if as_json else known)
    return GOOD
