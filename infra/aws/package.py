"""Builds the zip folder of one function: its own code, what it shares, and the libraries of its group, for Lambda's platform.

    python -m infra.aws.package LOGICAL_ID TARGET [--arch x86_64|arm64]

Called by the Makefile's build-<LogicalId> targets, which `sam build` runs; `infra.aws.build` builds all. Which code and which
libraries a function needs is read from template.yaml: its handler, and the LibraryGroup in its metadata. Needs pip, and
`python3.13` only to compile the modules: wheels are taken, for CPython 3.13 on Amazon Linux 2023 (glibc 2.34). The newest
platform tag comes first, since with it pip takes the wheels that are linked to OpenSSL 3; the build fails if a library wants an
OpenSSL 1.1 that is not in the package, or exceeds Lambda's limit.
"""

import argparse
import gzip
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from infra.aws.bytecode import not_compiled, precompile
from infra.local.template_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
LIMIT_BYTES = 262_144_000  # function and layers, unzipped: Lambda quotas
# Every one that glibc 2.34 runs: a wheel may be tagged with any of them alone, and pip takes only those that are named.
PLATFORMS = (*(f"manylinux_2_{minor}" for minor in range(34, 16, -1)), "manylinux2014")
PYTHON = "3.13"
CONTROL = ("aws-lambda-powertools", "boto3", "botocore", "pydantic")
GROUPS = {
    "control": CONTROL,
    "source": (*CONTROL, "pymssql", "sqlglot", "cronsim", "tzdata"),
    "extraction": (*CONTROL, "pymssql", "mssql-python", "mssql-python-rs", "pyarrow", "openpyxl", "msgspec", "sqlglot"),
    "lineage": (*CONTROL, "openlineage-python", "sqlglot"),
    "lake": (*CONTROL, "deltalake", "duckdb", "duckdb-extension-httpfs", "sqlglot"),
}
SERVICES = {"dynamodb", "events", "s3", "secretsmanager", "sqs", "sso", "sso-oidc", "sts"}
# What our code never loads; figures in docs/decisions.md.
PRUNED = (
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/tests",
    "pyarrow/libarrow_s3*",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/_flight*",
    "pyarrow/_s3fs*",
    "pyarrow/_gcsfs*",
    "pyarrow/_azurefs*",
    "pyarrow/_hdfs*",
    "pyarrow/_orc*",
    "pyarrow/_substrait*",
    "pyarrow/**/*.pxd",
    "pyarrow/**/*.pyx",
    "mssql_py_core/mssql_py_core*.so",
    "mssql_python_odbc",
    "azure",
    "azure_*",
    "msal*",
    "cryptography*",
    "bin",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.css",
    "*.dist-info/sboms",
    "*-stubs",
)
# Kept as `.gz`: 14 MB of the 20 that silver's and gold's packages leave free. A cold start unpacks it.
COMPRESSED = ("duckdb_extension_httpfs/extensions/*/*.duckdb_extension",)
OPENSSL_1 = {"libssl.so.1.1", "libcrypto.so.1.1"}


def main() -> int:
    """Builds one folder; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("logical_id", help="the function's name in template.yaml")
    parser.add_argument("target", type=Path)
    parser.add_argument("--arch", choices=("x86_64", "arm64"), default="x86_64")
    arguments = parser.parse_args()
    function = read_yaml((ROOT / "template.yaml").read_text())["Resources"][arguments.logical_id]
    install(function["Metadata"]["LibraryGroup"], arguments.target, arguments.arch)
    prune(arguments.target)
    copy_code(function["Properties"]["Handler"].split(".")[1], arguments.target)
    if not precompile(arguments.target, PYTHON):
        sys.stdout.write(not_compiled(PYTHON))
    problems = check(arguments.target)
    sys.stdout.write(f"{arguments.logical_id}: {size_of(arguments.target):,} bytes unzipped\n")
    for problem in problems:
        sys.stderr.write(f"{arguments.logical_id}: {problem}\n")
    return 1 if problems else 0


def install(group: str, target: Path, arch: str, python: str = PYTHON) -> None:
    """Puts the group's pinned wheels for a version of CPython into the folder."""
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = {re.split(r"[=<>\[]", line)[0]: line for line in pinned}
    wanted = [pins.get(name, name) for name in GROUPS[group]]
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[arch]
    platforms = [word for tag in PLATFORMS for word in ("--platform", f"{tag}_{machine}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*command, *constraints, "--target", str(target), *wanted], check=True)


def prune(target: Path) -> None:
    """Removes what is never loaded at run time."""
    for pattern in PRUNED:
        for path in sorted(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for data in (target / "botocore" / "data").glob("*"):
        if data.is_dir() and data.name not in SERVICES:
            shutil.rmtree(data)
    for pattern in COMPRESSED:
        for path in target.glob(pattern):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()


def copy_code(function: str, target: Path) -> None:
    """Copies the function, the contracts and what functions share."""
    ignored = shutil.ignore_patterns("__pycache__", "samples", "cli", "console")
    for folder in ("events", "flowforge", f"functions/{function}"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignored, dirs_exist_ok=True)
    shared = [Path("functions", "__init__.py"), Path("docs", "schemas", "openapi.json")]
    shared += [path.relative_to(ROOT) for path in sorted((ROOT / "templates").glob("*.json"))]
    for file in shared:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target / file)


def size_of(target: Path) -> int:
    """The bytes of a folder's files, as Lambda counts them unzipped."""
    return sum(path.stat().st_size for path in _files(target))


def _files(target: Path) -> list[Path]:
    return [path for path in target.rglob("*") if path.is_file() and not path.is_symlink()]


def check(target: Path) -> list[str]:
    """What would keep the folder from running on Lambda."""
    files = _files(target)
    missing = [path.relative_to(target) for path in files if ".so" in path.name and needed(path) & OPENSSL_1]
    problems = [f"{path} wants OpenSSL 1.1, which Lambda does not have" for path in missing]
    size = size_of(target)
    if size >= LIMIT_BYTES:
        problems.append(f"{size:,} bytes unzipped; Lambda takes less than {LIMIT_BYTES:,}")
    return problems


def needed(path: Path) -> set[str]:
    """The shared libraries that an ELF file names as needed; empty for other files."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return set()
        file.seek(0)
        dynamic = [section for section in ELFFile(file).iter_sections() if isinstance(section, DynamicSection)]
        tags: list[Any] = [tag for section in dynamic for tag in section.iter_tags("DT_NEEDED")]
        return {tag.needed for tag in tags}  # an attribute of this kind of tag only


if __name__ == "__main__":
    sys.exit(main())
