"""Tests run in several processes; those of a folder, which share servers and an environment, in one."""

import pytest
from xdist.scheduler import LoadScopeScheduling


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("/")[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Sends the tests of a folder to one process."""
    return _ByFolder(config, log)
