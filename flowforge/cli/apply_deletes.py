"""`flowforge reconcile TABLE --apply`: takes out of silver what the source has no more, by a run that is followed to its end.

The comparison is the server's: it reads the keys with the table's own connection, and the rows go as its `deletes` say.
"""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from flowforge.cli.failure import BadRequest, Failure
from flowforge.cli.loaded import address_of
from flowforge.cli.options import Session
from flowforge.cli.runs import told_of

if TYPE_CHECKING:
    from flowforge.cli.api import Api
    from flowforge.cli.connection import SourceChoice

OPENED_SECONDS, PAUSE_SECONDS = 60.0, 0.3  # how long the order may lie in its queue before nobody waits for its run


def refuse_source(choice: "SourceChoice") -> None:
    """Raises BadRequest where a source is named: the rows go by what the table's own one has."""
    if choice.connection_id or choice.request_file or choice.host or choice.database or choice.username:
        raise BadRequest(
            "--apply compares with the source that the table was loaded from", "leave the source's options out"
        )


def apply(session: Session, name: str, share: str | None) -> int:
    """Orders the comparison and follows its run; the exit code."""
    with session.open() as api:
        wanted = {} if share is None else {"maxDeleteShare": _share_in(share)}
        ordered = api.post("watermarks", address_of(api, name), "compare", body=wanted)
        _await_run(api, ordered["run_id"])
        accepted = {"run_id": ordered["run_id"], "tables": [ordered["bronze_table"]]}
        return told_of(api, accepted, True, None, session.out)


def _share_in(text: str) -> float:
    with suppress(ValueError):
        if 0 < (share := float(text)) <= 1:
            return share
    raise BadRequest(f"--max-delete-share is {text!r}", "write a share above 0 and up to 1, such as 0.25")


def _await_run(api: "Api", run_id: str) -> None:
    until = time.monotonic() + OPENED_SECONDS
    while True:
        try:
            api.get("runs", run_id)
            return
        except Failure as failure:
            if failure.error != "NotFound":
                raise
        if time.monotonic() > until:
            raise Failure(
                f"run {run_id} was ordered, and has not begun after {OPENED_SECONDS:.0f} s",
                f"flowforge status {run_id} --watch",
                error="StillRunning",
            )
        time.sleep(PAUSE_SECONDS)
