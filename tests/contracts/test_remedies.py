"""What errors tell people to run can be run: every `flowforge …` in a text of the product is read by the CLI's own parser."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from events.facts import StepFailed
from flowforge.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("events", "flowforge", "functions")
COMMAND = re.compile(r"(?<![\w/.-])flowforge (?=[a-z])")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*(=[A-Z]+)?|\{\w+\}")  # the second is filled in by format
ENDS = ".,;:)`"


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """A module's texts but its docstrings, each with its line; what is filled in is X."""
    tree = ast.parse(path.read_text())
    inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inner |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.lineno, node.value


@cache
def parser() -> Any:
    """The CLI's own, made once: 50 ms."""
    return typer.main.get_command(app)


def words_of(text: str) -> list[str]:
    """The words of a command at the beginning of a text: up to a sign that ends it, or the first that is neither the name of a
    command, nor an option, nor a placeholder."""
    found: list[str] = []
    command = parser()
    for word in text.split():
        bare = word.rstrip(ENDS)
        if bare in getattr(command, "commands", {}):
            command = command.commands[bare]
        elif not (bare.startswith("--") or PLACEHOLDER.fullmatch(bare)):
            break
        found.append(bare)
        if bare != word:
            break
    return found


def commands() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, text in texts(path):
                for found in COMMAND.finditer(text):
                    rest = text[found.end() :]
                    yield f"{path.relative_to(ROOT)}:{line}", rest.partition("\n")[0]


def problem_of(text: str) -> str:
    """What the parser says of a command; empty where it takes it."""
    command = parser()
    words = words_of(text)
    if not words:
        return "no such command"
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands") and not command.invoke_without_command:
        return "expected a command of the group"
    try:
        command.make_context(command.name, words).close()
    except typer.TyperException as error:
        return error.format_message()
    return ""


def test_should_name_commands_that_the_parser_takes():
    found = list(commands())
    assert len(found) > 30
    problems = {f"{where}: flowforge {text[:80]}": problem_of(text) for where, text in found}
    assert {where: problem for where, problem in problems.items() if problem} == {}


@pytest.mark.parametrize(
    "text",
    [
        "watermarks reset TABLE",
        "watermark",
        "watermark reset",
        "watermark set TABLE VALUE, then",
        "watermark reset TABLE --force",
        "schema --accept",
        "replay --run, then",
    ],
)
def test_should_notice_a_command_that_nobody_can_run(text):
    assert problem_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "status shows the runs",
        "watermark reset TABLE --yes, then load again",
        "schema X --type COLUMN=TYPE) and",
        "up`",
    ],
)
def test_should_take_a_command_that_can_be_run(text):
    assert problem_of(text) == ""


def test_should_tell_a_remedy_with_the_run_and_the_table_in_its_commands():
    remedy = "If it is the same: flowforge watermark accept TABLE. Else: flowforge watermark set TABLE VALUE --column COLUMN."
    told = StepFailed(
        run_id="run_1", bronze_table="my table", step="ingest", error="E", cause="c", remedy=remedy
    ).remedy
    assert "flowforge watermark accept 'my table'." in told and "set 'my table' VALUE --column COLUMN." in told
    again = "decide (flowforge schema TABLE --accept), then replay the batch (flowforge replay --run RUN)"
    told = StepFailed(run_id="run_1", bronze_table="b", step="silver", error="E", cause="c", remedy=again).remedy
    assert told == "decide (flowforge schema TABLE --accept), then replay the batch (flowforge replay --run run_1)"
