"""`python -m tests.faults [--quick] [--seed N] [pytest's options]`: runs the fault tests, then prints what was tried and lost.

The last line of its output is one JSON object with the sums. It fails when a test does, and when a row was lost or doubled.
"""

import argparse
import json
import os
import random
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from flowforge.cli.streams import open_streams
from flowforge.cli.surroundings import leave_account_out, reach_directly
from flowforge.domain.given import given
from tests.faults.tally import Tally


class Collected:
    """Takes the tally out of a pytest run."""

    tally = Tally()

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        conftest = config.pluginmanager.get_plugin(str(Path(__file__).with_name("conftest.py")))
        self.tally = config.stash[given(conftest).TALLY]


PROCESSES = 2  # a core each


def main() -> int:
    open_streams()
    reach_directly()
    leave_account_out()
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a random selection of a few minutes")
    parser.add_argument("--seed", type=int, help="repeats the run that printed this seed")
    chosen, more = parser.parse_known_args()
    seed = os.environ["FAULTS_SEED"] = str(
        chosen.seed
        if chosen.seed is not None
        else os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**9)
    )
    again = f"seed {seed}: --seed {seed}, or FAULTS_SEED={seed}, repeats this run"
    print(again, flush=True)
    if chosen.quick:
        os.environ["FAULTS_QUICK"] = "1"
    selection = ["-m", "not long"] if chosen.quick else []
    options = ["--numprocesses", str(PROCESSES), "--dist", "loadscope", *selection]
    collected = Collected()
    status = pytest.main([str(Path(__file__).parent), *options, *more], plugins=[collected])
    total = collected.tally.total()
    failed = int(status) or int(bool(total.lost or total.doubled))
    print(
        "",
        *collected.tally.table(),
        *(["", again] if failed else []),
        "",
        json.dumps(asdict(total)),
        sep="\n",
        flush=True,
    )
    return failed


if __name__ == "__main__":
    sys.exit(main())
