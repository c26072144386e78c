"""The benchmark of files: each reader is given the same file, and its figures are told beside DuckDB's."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks import files, large_files
from benchmarks.file_readers import COLUMNS
from benchmarks.measurement import Result, Run


def test_should_write_what_duckdb_writes_and_count_it(tmp_path: Path) -> None:
    results = files.measure("csv", 400, ["FlowForge"], 1, tmp_path)
    ours = pq.read_table(tmp_path / "target.parquet", columns=list(COLUMNS)).to_pydict()
    files.make_file("csv", 400, tmp_path / "rows.csv")
    theirs = duckdb.sql(f"FROM read_csv('{tmp_path}/rows.csv', all_varchar = true)").to_arrow_table().to_pydict()
    assert [len(one.runs) for one in results] == [1]
    assert ours == theirs


def test_should_read_all_rows_of_nested_objects(tmp_path: Path) -> None:
    results = files.measure("nested", 400, ["FlowForge", "DuckDB COPY"], 1, tmp_path)
    assert [len(one.runs) for one in results] == [1, 1]
    assert pq.read_metadata(tmp_path / "target.parquet").num_rows == 400


def test_should_read_a_workbook_beside_openpyxl(tmp_path: Path) -> None:
    results = files.measure("excel", 400, ["openpyxl", "FlowForge"], 1, tmp_path)
    assert [len(one.runs) for one in results] == [1, 1]
    ours = pq.read_table(tmp_path / "target.parquet", columns=["id", "amount", "name"]).to_pylist()
    first, second = list(files.rows_of(2))
    told = [{"id": row[0], "amount": str(float(row[4])), "name": row[2]} for row in (first, second)]
    assert (len(ours), ours[:2]) == (400, told)


def test_should_load_a_file_by_the_functions_handlers_and_tell_what_each_process_took(capsys) -> None:
    large_files.main(["--megabytes", "1"])
    told = capsys.readouterr().out
    assert "100,000 usual records, loaded at once by the functions' handlers" in told
    assert "| ingest | " in told


def test_should_show_the_ratio_and_why_a_reader_is_out() -> None:
    results = [
        Result("FlowForge", 100, (Run(2.0, 1.0, 90.0),)),
        Result("DuckDB COPY", 100, (Run(1.0, 1.5, 300.0),)),
        Result("pyarrow", 100, (), "99 rows of 100"),
    ]
    assert files.table(results).splitlines()[2:] == [
        "| **FlowForge** | 50 | 2.00 | 1.00 | 90 | 0.50 |",
        "| DuckDB COPY | 100 | 1.00 | 1.50 | 300 | 1.00 |",
        "| pyarrow | – | | | | not run: 99 rows of 100 |",
    ]
