"""Tests run in several processes; those of a folder, which share servers and an environment, in one.

The tests of faults are the exception: each makes what it needs in the world of whichever process it runs in.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return nodeid if folder == "faults" else folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Sends the tests of a folder to one process, those of faults to any."""
    return _ByFolder(config, log)
