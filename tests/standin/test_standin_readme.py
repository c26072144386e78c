"""The stand-in's README names its files."""

import re

from tests.helpers.servers import ROOT

FOLDER = ROOT / "infra" / "sqlserver"


def test_should_name_every_module_in_its_readme():
    table = (FOLDER / "README.md").read_text().partition("## Where things are")[2]
    named = re.findall(r"`(\w+)`", table)
    modules = {path.stem for path in FOLDER.rglob("*.py")} - {"__init__"}
    assert (modules - set(named), len(named) - len(set(named))) == (set(), 0)


def test_should_name_only_files_that_exist():
    text = (FOLDER / "README.md").read_text()
    assert [name for name in re.findall(r"`(\w+\.py)`", text) if not (FOLDER / name).exists()] == []
