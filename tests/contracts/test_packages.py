"""What is left out of a function's package is never missed: the product's own reading and writing run on a pruned pyarrow.
What is in one is pinned, and told by its bill of materials."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions
from pathlib import Path

from flowforge.domain.given import given
from infra.aws.bill import normal, pins, unpinned, write_bill
from infra.aws.bytecode import not_compiled, precompile
from infra.aws.package import ROOT, prune
from tests.helpers.waiting import LIMIT_SECONDS

# Lines as pymssql brings them, to Arrow, to Parquet with each compression that a request may ask for, and back.
LINES_TO_PARQUET = """
import io, sys, typing
import pyarrow as pa, pyarrow.parquet as pq
import functions.ingest_slice.handler, functions.ingest_table.handler
from events.choices import Compression
from flowforge.bronze import parquet, upload
from flowforge.sources.sqlserver.arrow_types import arrow_schema
from flowforge.sources.sqlserver.mssql_python_reader import MssqlPythonReader
from flowforge.sources.sqlserver.pymssql_reader import PymssqlReader
from flowforge.sources.sqlserver.unpacking import LineReader
from flowforge.domain.source_columns import SourceColumn

schema = arrow_schema([SourceColumn(name=t, sql_type=t) for t in ("int", "money", "datetime2(3)", "nvarchar(9)")])
arrays = LineReader(list(schema)).arrays(['1,12.3456,2024-02-29 12:34:56.789,"a,b"', ',,,""'])
table = pa.table(arrays, schema=schema)
for compression in typing.get_args(Compression):
    pq.write_table(table, sink := io.BytesIO(), compression=compression)
    # In this thread: with threads, Arrow may abort at the interpreter's end over a buffer of Python's (apache/arrow#50482).
    assert pq.ParquetFile(sink).read(use_threads=False).equals(table), compression
print(pa.__file__)
"""


def test_should_read_lines_and_write_parquet_with_what_the_package_keeps_of_pyarrow(tmp_path):
    installed = Path(given(given(importlib.util.find_spec("pyarrow")).origin)).parent
    shutil.copytree(installed, tmp_path / "pyarrow", copy_function=linked)
    prune(tmp_path)
    assert not list((tmp_path / "pyarrow").glob("_flight*")), "nothing was pruned"
    found = subprocess.run(
        [sys.executable, "-c", LINES_TO_PARQUET],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)


def linked(source: str, target: str) -> None:
    """A hard link where the file system allows it: pyarrow is 150 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_should_run_a_function_on_its_package_and_python_alone(tmp_path):
    (tmp_path / "handler.py").write_text("import json, only_here")
    (tmp_path / "only_here.py").write_text("")
    (tmp_path / "botocore").mkdir()  # as each package has it
    script = (
        "import pathlib, sys; from infra.local.packaged import keep_to_package; keep_to_package(pathlib.Path(sys.argv[1]))\n"
        "import handler\n"
        "for name in ('moto', 'flowforge.settings', 'pytest'):\n"
        "    try: __import__(name); raise SystemExit(f'{name} was found')\n"
        "    except ModuleNotFoundError: pass"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_should_unpack_an_extension_that_the_package_keeps_compressed(tmp_path, monkeypatch):
    found = Path(given(given(importlib.util.find_spec("duckdb_extension_httpfs")).origin)).parent
    shutil.copytree(found, tmp_path / found.name, copy_function=linked)
    prune(tmp_path)
    assert not list(tmp_path.rglob("*.duckdb_extension")), "it is kept compressed"
    script = (
        "from flowforge.engines.duckdb.storage import duckdb_connection\n"
        "for _ in range(2):\n"
        "    with duckdb_connection() as one: print(one.execute('SELECT 1').fetchall())"
    )
    where = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path), "AWS_REGION": "eu-central-1"}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | where | keys, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("flowforge-httpfs-*/httpfs.duckdb_extension"))


def imported(package: Path) -> str:
    """What Python tells of importing `handler` from a folder that it may not write to."""
    where = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": ""}
    done = subprocess.run(
        [sys.executable, "-v", "-c", "import handler"], env=where, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_should_import_a_packages_modules_without_compiling_them(tmp_path):
    module = tmp_path / "handler.py"
    module.write_text("print('as packed')")
    assert precompile(tmp_path, f"{sys.version_info.major}.{sys.version_info.minor}")
    os.utime(module, (0, 0))  # a zip keeps no exact times
    (bytecode,) = tmp_path.rglob("*.pyc")
    told = imported(tmp_path)
    assert "as packed" in told
    assert f"# code object from '{bytecode}'" in told


def test_should_run_a_module_as_it_was_changed_after_the_package_was_built(tmp_path):
    module = tmp_path / "handler.py"
    module.write_text("print('as packed')")
    assert precompile(tmp_path, f"{sys.version_info.major}.{sys.version_info.minor}")
    times = module.stat()
    module.write_text("print('repaired!')")
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "repaired!" in imported(tmp_path)


def test_should_say_what_a_package_lacks_without_the_version_of_python_that_runs_it(tmp_path):
    assert not precompile(tmp_path, "3.999")
    assert "no python3.999 on the path" in not_compiled("3.999")


CONSTRAINTS = ROOT / "constraints.txt"
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel", "flowforge"}


def test_should_pin_every_library_that_is_installed():
    """Offline: whether a pinned version has a known fault is asked of a database elsewhere (.github/workflows/nightly.yml)."""
    pinned = pins(CONSTRAINTS)
    installed = {normal(one.name): one.version for one in distributions()}
    loose = {name: found for name, found in installed.items() if pinned.get(name) != found}
    assert {name: found for name, found in loose.items() if name not in OF_THE_ENVIRONMENT} == {}


def test_should_ask_for_the_versions_that_are_pinned():
    pinned = pins(CONSTRAINTS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    named = [line.partition(";")[0].partition("==") for line in asked]
    assert [line for line, (name, _, found) in zip(asked, named, strict=True)
            if pinned.get(normal(name.partition("[")[0])) != found.strip()] == []  # fmt: skip


def test_should_tell_what_a_package_is_made_of(tmp_path):
    folder, target = tmp_path / "package", tmp_path / "bills" / "SomeFunction.cdx.json"
    for name in ("boto3", "pydantic"):
        (metadata,) = {
            file.parts[0] for file in given(distribution(name).files) if file.parts[0].endswith(".dist-info")
        }
        shutil.copytree(str(distribution(name).locate_file(metadata)), folder / metadata)
    write_bill("SomeFunction", "0.1.0", folder, target)
    bill = json.loads(target.read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "1.6",
        "SomeFunction",
    )
    told = {one["purl"]: one for one in bill["components"]}
    assert set(told) == {f"pkg:pypi/{name}@{distribution(name).version}" for name in ("boto3", "pydantic")}
    assert told[f"pkg:pypi/pydantic@{distribution('pydantic').version}"]["licenses"]
    assert unpinned(folder, CONSTRAINTS) == []
    write_bill("SomeFunction", "0.1.0", folder, target)
    assert json.loads(target.read_text())["serialNumber"] == bill["serialNumber"]


def test_should_name_a_library_of_a_package_that_is_not_pinned(tmp_path):
    metadata = tmp_path / "package" / "left_pad-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: left_pad\nVersion: 1.0\n")
    assert unpinned(metadata.parent, CONSTRAINTS) == ["left_pad==1.0"]
