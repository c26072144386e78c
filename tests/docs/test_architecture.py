"""The map is the territory: what docs/architecture.md and docs/settings.md name exists, and what exists is named there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from events.export import MODELS
from events.request import JobRequest
from flowforge.cli import app as cli
from flowforge.domain.given import given
from flowforge.runtime.settings import Settings
from flowforge.runtime.settings import settings as read_settings
from infra.local.template_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
NOTHING = "\u2013"  # the dash of an empty cell
TEMPLATE = read_yaml((ROOT / "template.yaml").read_text())


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of each table below that begins with this heading, its head left out."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", document, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        if lines[0][0] == heading:
            found += lines[2:]
    return found


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("flowforge/*/__init__.py")}


def functions() -> set[str]:
    return {path.parent.name for path in ROOT.glob("functions/*/handler.py")}


def resources(kind: str) -> dict[str, dict]:
    return {name: found for name, found in TEMPLATE["Resources"].items() if found["Type"] == kind}


def modules(package: str) -> Iterator[str]:
    """What a package of flowforge imports, those for type checkers included."""
    for path in (ROOT / "flowforge" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names_of = [one.name for one in getattr(node, "names", []) if isinstance(one, ast.alias)]
            if isinstance(node, ast.Import):
                yield from names_of
            if isinstance(node, ast.ImportFrom):
                yield from (
                    [f"flowforge.{name}" for name in names_of] if node.module == "flowforge" else [node.module or ""]
                )


def imported(package: str) -> set[str]:
    """The other packages of flowforge that a package imports."""
    return ({name.split(".")[1] for name in modules(package) if name.startswith("flowforge.")} & packages()) - {package}


def test_should_name_every_function_with_the_libraries_of_its_package():
    told = {names(name)[0]: group for name, group, *_ in rows(ARCHITECTURE, "function")}
    declared = {
        function["Properties"]["Handler"].split(".")[1]: function["Metadata"]["LibraryGroup"]
        for function in resources("AWS::Serverless::Function").values()
    }
    assert told == declared
    assert set(told) == functions()


def test_should_name_every_package_and_no_other():
    assert {names(row[0])[0] for row in rows(ARCHITECTURE, "package of `flowforge/`")} == packages()
    top = {path.name for path in ROOT.glob("flowforge/*.py") if path.name != "__init__.py"}
    assert set(re.findall(r"`flowforge/(\w+\.py)`", ARCHITECTURE)) == top


@pytest.mark.parametrize("package", sorted(packages()))
def test_should_list_what_a_package_imports(package):
    (row,) = [row for row in rows(ARCHITECTURE, "package of `flowforge/`") if names(row[0]) == [package]]
    unlisted = imported(package) - set(names(row[2]))
    assert not unlisted, (
        f"flowforge/{package} imports {unlisted}: is that right? docs/architecture.md lists what it may"
    )


def test_should_tell_which_packages_import_drivers_and_engines():
    found = {package: {name.split(".")[0] for name in modules(package)} for package in packages()}
    told = given(re.search(r"^Drivers are imported in (.*?) Silver's", ARCHITECTURE, re.MULTILINE | re.DOTALL))[1]
    drivers, lake, arrow = (set(names(part)) & packages() for part in re.split(r"`duckdb`|`pyarrow`", told))
    assert drivers == {package for package, used in found.items() if used & {"pymssql", "mssql_python"}}
    assert lake == {package for package, used in found.items() if used & {"duckdb", "deltalake"}}
    assert arrow == {package for package, used in found.items() if "pyarrow" in used}


def test_should_name_modules_that_exist():
    paths = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md")]
    named = [path for document in paths for path in re.findall(r"`([\w/]+\.py)`", document.read_text())]
    assert len(named) > 100
    kept = {path.name for top in ("flowforge", "infra", "tests") for path in (ROOT / top).rglob("*.py")}
    missing = [path for path in named if not any((top / path).exists() for top in (ROOT, ROOT / "flowforge"))]
    assert [path for path in missing if path not in kept] == []  # decisions.md leaves folders out


def test_should_say_of_all_that_is_kept_how_it_ends():
    kept = [*rows(ARCHITECTURE, "pk"), *rows(ARCHITECTURE, "prefix")]
    assert [row for row in kept if not row[-1]] == []
    writes = re.compile(r"\bitems\.(put|put_new|put_many|put_action|update|update_action)\(")
    writing = {
        f"state/{path.name}" for path in (ROOT / "flowforge" / "state").glob("*.py") if writes.search(path.read_text())
    }
    where = ARCHITECTURE.partition("## What is where")[2]
    assert [module for module in sorted(writing) if f"`{module}`" not in where] == []


def test_should_explain_words_in_their_order_each_with_its_module():
    words = [row[0] for row in rows(GLOSSARY, "word")]
    assert words == sorted(words)
    assert [word for word, _, module in rows(GLOSSARY, "word") if not names(module)] == []


def test_should_name_every_queue_rule_and_message():
    queues, rules = resources("AWS::SQS::Queue"), resources("AWS::Events::Rule")
    assert [name for name in queues if not re.search(rf"\b{name}\b", ARCHITECTURE)] == []
    assert {row[0] for row in rows(ARCHITECTURE, "rule")} == set(rules)
    assert set(re.findall(r"\b\w+(?:Queue|DeadLetters)\b", ARCHITECTURE)) <= set(queues)
    messages = {model.__name__ for model in MODELS if model is not JobRequest}
    assert [name for name in messages if not re.search(rf"\b{name}\b", ARCHITECTURE)] == []


def test_should_tell_which_queues_a_rule_fills():
    for name, _, told in rows(ARCHITECTURE, "rule"):
        targets = str(TEMPLATE["Resources"][name]["Properties"]["Targets"])
        assert set(told.split(", ")) == set(re.findall(r"\w+Queue\b", targets)), name


def test_should_say_of_every_function_what_it_must_not_import():
    layers = (ROOT / "tests" / "contracts" / "test_layers.py").read_text()
    assert [name for name in functions() if f'"{name}": {{' not in layers] == []


def test_should_explain_every_field_of_a_request():
    schema = JobRequest.model_json_schema()
    fields = {field for one in (schema, *schema["$defs"].values()) for field in one.get("properties", {})}
    told = EVENTS.partition("## Commands and events")[0] + EVENTS.partition("## Silver")[2]
    assert [field for field in sorted(fields) if not re.search(rf"\b{field}\b", told)] == []


def test_should_show_every_route_and_no_other():
    events = [
        one
        for found in resources("AWS::Serverless::Function").values()
        for one in found["Properties"]["Events"].values()
    ]
    declared = {one["Properties"]["Path"] for one in events if one["Type"] == "HttpApi"}
    table = EVENTS.partition("## HTTP API")[2]
    told = {path.rstrip("/.") for path in re.findall(r"/api/[\w./{}-]+", table)}
    assert told == declared


def test_should_show_every_command():
    shown = "".join(path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    commands = dict(typer.main.get_group(cli.app).commands)
    for name, group in list(commands.items()):
        if isinstance(group, TyperGroup):
            del commands[name]
            commands |= {f"{name} {inner}": one for inner, one in group.commands.items()}
    assert [name for name in commands if not re.search(rf"flowforge {name}\b", shown)] == []


def test_should_document_every_setting_with_its_default():
    told = [(name, row[1]) for row in rows(SETTINGS, "setting") for name in names(row[0])]
    assert {name for name, _ in told} == set(Settings.model_fields)
    for name, shown in told:
        default = Settings.model_fields[name].default
        assert shown.strip("`") in {NOTHING if default in ("", None) else str(default), str(default)}, name


def test_should_document_every_parameter_with_its_default():
    of_settings = {names(row[3])[0]: row[1] for row in rows(SETTINGS, "setting") if len(row) == 5 and names(row[3])}
    own = {name: row[1] for row in rows(SETTINGS, "parameter") for name in names(row[0])}
    named = of_settings | own | {"LakeBucketName": "`flowforge-data`"}
    defaults = {name: str(found.get("Default", "")) or NOTHING for name, found in TEMPLATE["Parameters"].items()}
    assert {name: shown.strip("`") for name, shown in named.items()} == defaults


def test_should_tell_which_parameter_sets_a_setting():
    text = (ROOT / "template.yaml").read_text()
    for setting, parameter in [(names(row[0])[0], row[3]) for row in rows(SETTINGS, "setting") if len(row) == 5]:
        found = re.findall(rf"FLOWFORGE_{setting.upper()}: !Ref (\w+)", text)
        assert set(found) == set(names(parameter)), setting


def test_should_name_every_variable_that_is_read():
    paths = [*ROOT.glob("flowforge/**/*.py"), ROOT / "infra" / "local" / "stack.py"]
    read = {name for path in paths for name in re.findall(r"\bFLOWFORGE_[A-Z0-9_]*[A-Z0-9]\b", path.read_text())}
    of_settings = {f"FLOWFORGE_{name.upper()}" for name in Settings.model_fields}
    assert [name for name in sorted(read - of_settings) if f"`{name}`" not in SETTINGS] == []


def test_should_take_a_setting_from_its_variable(monkeypatch):
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", "")
    assert (read_settings().max_attempts, read_settings().slice_rows) == (5, 2_000_000)
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "0")
    with pytest.raises(ValueError, match="max_attempts"):
        read_settings()
