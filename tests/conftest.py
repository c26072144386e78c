"""Tests run in several processes; those of a folder, which share servers, in one."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts each test into the group of its folder."""
    for item in items:
        folder = Path(item.path).relative_to(config.rootpath).parts[1]
        item.add_marker(pytest.mark.xdist_group(folder))
