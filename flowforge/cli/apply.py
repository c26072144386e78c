"""`flowforge apply`: brings connections, workflows with their schedules, and models to what the files of a folder say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.failure import DIFFERS, FAILED, GOOD, BadRequest
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import Rows, cell
from flowforge.cli.options import Session, api_command

if TYPE_CHECKING:
    from flowforge.cli.pipeline_difference import Difference
    from flowforge.cli.pipelines import Pipelines

STYLES = {"create": "green", "change": "yellow", "remove": "red"}
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Holds connections/, workflows/, schedules/ and models/, or some of them.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove what no file names, of kinds that the folder has.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the difference alone; exits 4 where there is one.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before something is removed.")]
Passwords = Annotated[
    bool, typer.Option("--passwords", help="Send the passwords of connections that are there already once more.")
]


@api_command
def apply(
    folder: Folder,
    session: Session,
    prune: Prune = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    passwords: Passwords = False,
    bucket: Bucket = None,
) -> int:
    """Bring connections, schedules with their workflows, and models to what the files of a folder say; shows the difference
    first. A wrong file applies nothing."""
    from flowforge.cli.pipeline_changes import apply_changes, difference
    from flowforge.cli.pipeline_checks import needed_passwords
    from flowforge.cli.pipeline_files import read_pipelines, refuse

    wanted = read_pipelines(folder)
    lake = open_lake(bucket, session.api) if "models" in wanted.managed else None
    out = session.out
    with session.open() as api:
        found = difference(wanted, api, lake, prune, passwords)
        refuse(found.mistakes)
        if dry_run:
            out.answer(_document(found, wanted, applied=False), *_shown(found, wanted))
            return DIFFERS if found.changes else GOOD
        refuse(needed_passwords(found, wanted))
        if not out.as_json:
            out.answer(None, *_shown(found, wanted))
        if found.removed and not yes and not _confirmed(len(found.removed)):
            out.say("Nothing was changed.")
            return FAILED
        with lake_failures():
            apply_changes(found, out.say)
    if out.as_json:
        out.answer(_document(found, wanted, applied=True))
    return GOOD


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise BadRequest(f"{count} would be removed, and nothing was changed", "confirm with --yes")
    return typer.confirm(f"Remove {count}, as shown?", err=True)


def _document(found: "Difference", wanted: "Pipelines", applied: bool) -> dict[str, Any]:
    return {
        "changes": [change.document() for change in found.changes],
        "same": found.same,
        "left": [{"kind": kind, "name": name} for kind, name in found.left],
        "unscheduled": wanted.unscheduled,
        "applied": applied,
    }


def _shown(found: "Difference", wanted: "Pipelines") -> list[Any]:
    rows: list[list[Any]] = []
    for change in found.changes:
        action = Text(change.action, style=STYLES[change.action])
        fields = change.fields if change.action == "change" else []
        rows += [[change.kind, change.name, action, one.name, one.before, one.after] for one in fields]
        rows += [] if fields else [[change.kind, change.name, action, None, None, None]]
    shown: list[Any] = (
        [Rows(["kind", "name", "action", "field", "before", "after"], rows)] if rows else ["Nothing to do."]
    )
    shown.append(cell(f"{found.same} as the files say"))
    shown += [cell(f"{kind} {name} is in no file, and stays (--prune removes it)") for kind, name in found.left]
    shown += [cell(f"workflow {name} has no schedule: nothing is kept of it") for name in wanted.unscheduled]
    return shown
