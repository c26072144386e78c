"""Runs tests on other Pythons than this one, each in an environment of its own: `.venv-pythons/VERSION`.

    python -m tests.helpers.other_pythons PYTHON [PYTHON ...] -- PYTEST ARGUMENTS

The same code meets other libraries there: `re` of 3.11.2 and expat of 3.13 have both read files differently. A Python that is
this one, or that is named twice, is passed over. Exits with the first failure's code; without a Python it says so, and with 0.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.servers import ROOT

PACKAGES = ("--constraint", "constraints.txt", "--editable", ".[local,dev]")
DECLARED = ("pyproject.toml", "constraints.txt")
ASK = "import platform, pyexpat; print(platform.python_version(), pyexpat.EXPAT_VERSION, sep=', ')"


def main(pythons: list[str], tests: list[str]) -> int:
    versions = {_version(python): python for python in reversed(pythons)}
    versions.pop(_version(sys.executable), None)
    if not versions:
        print("not run: this machine has no other Python that users have")
    for version, python in versions.items():
        print(f"Python {version}", flush=True)
        code = subprocess.call([_environment(python, version.partition(",")[0]), "-m", "pytest", *tests], cwd=ROOT)
        if code:
            return code
    return 0


def _version(python: str) -> str:
    """Its version and expat's: some builds bring an expat of their own."""
    return subprocess.run([python, "-c", ASK], check=True, capture_output=True, text=True).stdout.strip()


def _environment(python: str, version: str) -> Path:
    """The Python of an environment with what is pinned; made where there is none, or where other versions are pinned now."""
    folder = ROOT / ".venv-pythons" / version
    meant = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in DECLARED)).hexdigest()
    own, stamp = folder / "bin" / "python", folder / "stamp"
    if not stamp.exists() or stamp.read_text() != meant:
        pip = [sys.executable, "-m", "pip", "--python", str(own), "install", "-qq", "--no-compile", *PACKAGES]
        subprocess.run([python, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        subprocess.run(pip, check=True, cwd=ROOT)
        stamp.write_text(meant)
    return own


if __name__ == "__main__":
    place = sys.argv.index("--")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main(sys.argv[1:place], sys.argv[place + 1 :]))
