"""`python -m tests [pytest's options]`: all tests, as `make test` runs them: none of faults, Sail, a browser or the fuzzed API.

The tests share two cores with servers of their own, so now and then one fails that passes by itself. Up to MOST_AGAIN that have
failed are run once more, alone: what fails again fails the run, what does not is named in its last lines, to be mended.
"""

import os
import subprocess
import sys

import pytest

MOST_AGAIN = 3
PROCESSES = 3
OTHERS = ("tests/faults", "tests/tables/test_sail.py", "tests/console", "tests/local_stack/test_fuzzed_api.py")
NOT_HERE = [part for other in OTHERS for part in ("--ignore", other)]
REPORT_AGAIN = ".pytest_cache/tests_again.xml"


class Failed:
    """Collects the tests that failed."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.tests[report.nodeid] = None


def main(options: list[str]) -> int:
    """The exit code of pytest's run, or of the second one where there is one."""
    failed = Failed()
    spread = ["--numprocesses", str(PROCESSES), "--dist", "loadscope", "--no-loadscope-reorder"]
    status = pytest.main([*NOT_HERE, *spread, *options], plugins=[failed])
    tests = list(failed.tests)
    if status != pytest.ExitCode.TESTS_FAILED or not 0 < len(tests) <= MOST_AGAIN:
        return int(status)
    print(f"\nonce more, alone: {', '.join(tests)}", flush=True)
    # The first run keeps its report.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    again = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={REPORT_AGAIN}", *tests]
    status = subprocess.run(again, env=environment, check=False).returncode
    if status == 0:
        print("failed beside others, passed alone:", *tests, sep="\n  ", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
