"""`flowforge models`: the gold tables as a graph, what is stale and why; and model files put into the lake, once they are right.

Like `flowforge sql` it works on the lake itself, with the caller's own S3 credentials.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from flowforge.cli import options
from flowforge.cli.failure import FAILED, GOOD, BadRequest, Failure
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import Rows, cell, moment, number
from flowforge.cli.output import Output
from flowforge.cli.quality import rules_held

if TYPE_CHECKING:
    from flowforge.gold.graph import ModelState

app = typer.Typer(help="The gold models: their graph, what is stale, and new ones.", invoke_without_command=True)
STYLES = {"current": "green", "stale": "yellow", "waits": "yellow", "failed": "red", "refused": "red"}
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="<gold table>.sql, each one SELECT.")]
Ahead = Annotated[bool, typer.Option("--ahead", help="Let them read tables that are yet to be loaded.")]
Drawn = Annotated[bool, typer.Option("--tree", help="Draw what follows from what.")]


@app.callback()
def show(
    context: typer.Context,
    as_tree: Drawn = False,
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Show every gold table: what makes it, what it reads, whether it is current, and if not, why."""
    if context.invoked_subcommand is not None:
        return GOOD
    chosen = open_lake(bucket, api)
    from flowforge.gold.graph import document, model_states

    with lake_failures():
        states, problems = model_states(chosen)
    out = Output(as_json)
    told = {"models": [document(state) for state in states], "problems": problems}
    shown: list[Any] = [_tree(states) if as_tree else _table(states)] if states else ["No gold tables."]
    shown += [Text(problem, style="red") for problem in problems]
    out.answer(told, *shown)
    return FAILED if problems or any(state.state in ("failed", "refused") for state in states) else GOOD


@app.command("put")
def put(
    files: Files,
    ahead: Ahead = False,
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Check model files against the lake and put them into it; the chain builds them at once. All are put, or none."""
    texts = {f"models/{path.name}": _text(path) for path in files}
    if len(texts) < len(files):
        raise BadRequest("two of the files have the same name, so they would make one gold table")
    chosen = open_lake(bucket, api)
    from flowforge.gold.graph import check_files
    from flowforge.gold.model_files import write_models

    with lake_failures():
        problems = check_files(texts, chosen, ahead)
        if problems:
            parts = (problem.partition(": ") for problem in problems)
            mistakes = [{"field": where, "problem": problem} for where, _, problem in parts]
            raise BadRequest("nothing was put: not every model can be built", mistakes=mistakes)
        write_models(texts, chosen)
    Output(as_json).answer({"put": list(texts)}, f"Put {', '.join(texts)}.")
    return GOOD


@app.command("show")
def show_one(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A gold table: its name, or gold.NAME.")],
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Show the SQL of one model, as `models put` takes it."""
    chosen = open_lake(bucket, api)
    from flowforge.gold.put import show_model

    with lake_failures():
        found = show_model(name.removeprefix("gold."), chosen)
    if found["sql"] is None and not as_json:
        raise Failure(f"gold.{found['table']} is the copy of a silver table; no SQL makes it")
    Output(as_json).answer(found, Text(found["sql"] or ""))
    return GOOD


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not in UTF-8 (byte {error.start})") from error


def _table(states: list["ModelState"]) -> Any:
    rows = [
        [
            f"gold.{state.table}",
            _styled(state),
            state.strategy,
            ", ".join(state.reads),
            number(state.rows),
            rules_held(state.quality),
            cell(state.version),
            moment(state.built_at.isoformat(timespec="seconds") if state.built_at else None),
            state.origin,
            cell(state.reason),
        ]
        for state in states
    ]
    columns = ["table", "state", "build", "reads", "rows", "rules", "version", "built", "from", "why"]
    return Rows(columns, rows, prose="why")


def _tree(states: list["ModelState"]) -> Tree:
    """Each table below those that it reads; what has been drawn once is named only when it comes again."""
    made = {f"gold.{state.table}": state for state in states}
    sources = sorted({name for state in states for name in state.reads if name not in made})
    root, drawn = Tree("lake", hide_root=True), set()

    def grow(tree: Tree, name: str) -> None:
        below = [f"gold.{state.table}" for state in states if name in state.reads]
        state = made.get(name)
        label = Text.assemble(name, *((("  ", ""), _styled(state)) if state else ()))
        if name in drawn and below:
            tree.add(label.append("  …", style="dim"))
            return
        drawn.add(name)
        branch = tree.add(label)
        for follower in below:
            grow(branch, follower)

    for name in sources:
        grow(root, name)
    return root


def _styled(state: "ModelState") -> Text:
    return Text(state.state, style=STYLES[state.state])
