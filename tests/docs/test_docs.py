"""The documents tell the truth: every command that they show is run, but for those that are marked."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.forked_commands import run_flowforge
from tests.helpers.waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
FIRST = (
    "README.md",
    "guarantees.md",
    "operations.md",
    "howto.md",
    "lineage.md",
    "events.md",
)  # later ones need what these load
WRITTEN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=str)
DOCUMENTS = sorted(WRITTEN, key=lambda path: FIRST.index(path.name) if path.name in FIRST else len(FIRST))
MARKED = re.compile(r"#\s*(needs [\w' ]+|long)\s*$")
RUN_BY_CI = (
    "make demo",
    "make test",
    "make test-pythons",
    "make test-sail",
    "make test-s3",
    "make test-aws",
    "make test-api",
    "make test-build",
    "make faults-quick",
    "make lint",
    "make validate",
    "make check-template",
    ".venv/bin/flowforge up",
)
HOSTS = re.compile(r"https?://(?!openlineage\.io\b|localhost\b|127\.0\.0\.1\b|[\w.-]*\bexample\.com\b)[^\s)`\"]+")
SHELL = re.compile(r"[|&;<>`$]")  # what asks more of a shell than to tell arguments apart
ADDRESS = re.compile(r"[\w.+-]+@(?!127\.0\.0\.1\b)[\w-]+\.\w+")


def commands(document: Path) -> list[str]:
    """The commands of a document's console blocks, without their comments; marked ones are left out."""
    blocks = re.findall(r"^```console\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    shown = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+#\s.*$", "", line) for line in shown if not MARKED.search(line)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as a user sees the project's, with a stack started by `flowforge up`."""
    folder = tmp_path_factory.mktemp("a user's [100%20] folder ü")
    (folder / ".venv").symlink_to(sys.prefix)
    command = [".venv/bin/flowforge", "up", "--state-dir", str(folder / ".flowforge"), "--quiet"]
    command += ["--port", "0", "--aws-port", "0", "--sqlserver-port", "0"]
    process = subprocess.Popen(command, cwd=folder, env=environment())
    facts = folder / ".flowforge" / "stack.json"
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not facts.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        _copy_examples(folder, json.loads(facts.read_text())["sqlserver"]["port"])
        yield folder
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT_SECONDS)


def environment() -> dict[str, str]:
    """That of a user behind a company's proxy, with an account at AWS and a server of their own: none of it is this machine's."""
    ours = ("FLOWFORGE_", "AWS_", "NO_PROXY", "no_proxy")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    account = {"AWS_PROFILE": "bank", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    return kept | proxy | account | {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9", "TDSPORT": "9"}


def _copy_examples(folder: Path, port: int) -> None:
    """The examples, for a stand-in that may have found its usual port taken."""
    for name in ("models", "files"):
        shutil.copytree(ROOT / "examples" / name, folder / "examples" / name)
    for path in (ROOT / "examples").glob("*.json"):
        text = path.read_text().replace('"port": 1433', f'"port": {port}')
        (folder / "examples" / path.name).write_text(text)


@pytest.mark.timeout(600)  # a document's commands run one after the other, each in a process of its own
@pytest.mark.parametrize("document", [path for path in DOCUMENTS if commands(path)], ids=lambda path: path.stem)
def test_should_show_commands_that_work(folder, document):
    for command in commands(document):
        if command in RUN_BY_CI:
            continue
        ran = _run(command, folder, environment())
        assert ran.returncode == 0, f"$ {command}\n{ran.stdout}{ran.stderr}"


def _run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command in bash; where it is `flowforge` alone, bash says what its arguments are, and a fork runs it (a fifth of the
    time). That the program starts by its path is seen where the stack does."""
    program, _, arguments = command.partition(" ")
    ours = program == ".venv/bin/flowforge" and not SHELL.search(arguments)
    script = f"printf '%s\\0' {arguments}" if ours else command
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return run_flowforge(*ran.stdout.split("\0")[:-1], env=environment, cwd=folder) if ours else ran


def test_should_name_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {c.split()[1] for document in DOCUMENTS for c in commands(document) if c.startswith("make ")}
    assert named <= targets


def anchors(document: Path) -> set[str]:
    """The names by which a document's headings are linked to, as the repository's host makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_should_link_to_files_and_headings_that_exist(document):
    links = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", document.read_text())
    missing = [path for path, _ in links if not (document.parent / path).exists()]
    assert missing == []
    targets = [((document.parent / path) if path else document, anchor) for path, anchor in links if anchor]
    assert [f"{path.name}#{anchor}" for path, anchor in targets if anchor not in anchors(path)] == []


def test_should_lead_from_the_readme_to_every_document():
    found, new = set(), [ROOT / "README.md"]
    while new:
        document = new.pop()
        found.add(document)
        links = re.findall(r"\]\((?!http)([^)#]+\.md)", document.read_text())
        new += {(document.parent / link).resolve() for link in links} - found - set(new)
    assert set(WRITTEN) <= found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_should_hold_no_address_of_a_person_or_a_host(document):
    text = document.read_text()
    assert (HOSTS.findall(text), ADDRESS.findall(text)) == ([], [])
