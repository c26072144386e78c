"""What a module brings with it when a fresh process imports it."""

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS

# What nobody is forbidden is imported once; each module by a process forked from there.
SCRIPT = """
import importlib, json, os, sys
import aws_lambda_powertools, boto3, pydantic

for name in sys.argv[1:]:
    reading, writing = os.pipe()
    if os.fork() == 0:
        importlib.import_module(name)
        with open(writing, "w") as out:
            out.write(json.dumps(sorted(sys.modules)))
        os._exit(0)
    os.close(writing)
    with open(reading) as told:
        loaded = told.read()
    os.wait()
    print(json.dumps([name, json.loads(loaded or "null")]), flush=True)
"""


def loaded_by(modules: Sequence[str]) -> dict[str, set[str]]:
    """For each of the modules the names of all that are loaded once it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    found = {name: loaded for name, loaded in map(json.loads, done.stdout.splitlines())}
    failed = [name for name in modules if not found.get(name)]
    assert not failed, f"cannot be imported: {', '.join(failed)}\n{done.stderr}"
    return {name: set(loaded) for name, loaded in found.items()}
