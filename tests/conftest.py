"""Tests run in several processes; those of a folder, which share servers and an environment, in one.

The tests of faults are the exception: each makes what it needs in the world of whichever process it runs in.

What hypothesis draws is new in each run, as when a developer explores; with FLOWFORGE_TEST_PROFILE=ci, as in `.ci/run`, it is the
same each time, so that a gate that closes blames the change before it.
"""

import os

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("explore", derandomize=False, deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("FLOWFORGE_TEST_PROFILE", "explore"))


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return nodeid if folder == "faults" else folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Sends the tests of a folder to one process, those of faults to any."""
    return _ByFolder(config, log)
