"""Compiles the modules of a function's package, for the version of CPython that runs them.

Lambda's folder of code is read-only: without this each cold start compiles all that it imports, which is most of what it takes
(figures in docs/decisions.md). Bytecode is of a version, not of a machine, and CPython passes over another version's. It names
the hash of its source, which the interpreter checks: a zip keeps no exact times, and a module that somebody changes counts.
"""

import shutil
import subprocess
import sys
from pathlib import Path

TASK_ROOT = "/var/task"
# What our functions never import, where it takes room that packages lack; what is wrongly here costs time, and nothing else.
NEVER_IMPORTED = (
    r"/aws_lambda_powertools/utilities/(?!(__init__|data_classes|jmespath_utils|typing)\b)",
    r"/duckdb/experimental/",
    r"/pydantic/v1/",
    r"/sqlglot/(dialects|generators|parsers)/(?!(__init__|base|dialect|duckdb|tsql)\.)",
)


def compiler(python: str) -> str | None:
    """The interpreter that compiles for a version such as "3.13": this one, or one of that name on the path."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if python == own else shutil.which(f"python{python}")


def precompile(package: Path, python: str) -> bool:
    """Compiles what is in a folder; False where no such interpreter is here.

    A library may bring a file that is no module of this version, so what does not compile is left to the import.
    """
    if (interpreter := compiler(python)) is None:
        return False
    command = [interpreter, "-I", "-m", "compileall", "-qq"]  # -I: PYTHONPYCACHEPREFIX would put all of it elsewhere
    command += ["--invalidation-mode", "checked-hash", "-x", "|".join(NEVER_IMPORTED)]
    subprocess.run([*command, "-s", str(package), "-p", TASK_ROOT, str(package)], check=False)
    return True


def not_compiled(python: str) -> str:
    """What a person reads where nothing could be compiled."""
    return (
        f"not compiled, since there is no python{python} on the path: each cold start compiles what it imports,"
        f" some 2 s of CPU. Install CPython {python} beside this one, and build again.\n"
    )
