"""Files behind the seam: what every kind of source keeps."""

import io
import uuid
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.files import FileColumn, FileContract
from events.targets import FilePlace, SourceFiles
from flowforge.aws.clients import client
from flowforge.sources.base import Source
from flowforge.sources.files.source import Files
from flowforge.sources.plans import Wanted
from tests.helpers.source_conformance import KEY, ROWS, Conformance, planned
from tests.helpers.source_questions import Questions

CONTRACT = FileContract(
    format="csv", columns=[FileColumn(name=KEY, field=KEY, type="bigint"), FileColumn(name="version", field="version")]
)


def parquet_of(keys: list[int], version: str) -> bytes:
    """Rows in row groups of fifty."""
    body = io.BytesIO()
    table = pa.table({KEY: pa.array(keys, pa.int64()), "version": [version] * len(keys)})
    pq.write_table(table, body, row_group_size=50)
    return body.getvalue()


class FilesUnderTest:
    """A table is a folder of files: one for each order to make or to add rows. A row is changed by new content of its file."""

    contract = CONTRACT

    def __init__(self, bucket: str):
        self.bucket = bucket
        self._files: dict[str, list[list[int]]] = {}

    def source(self) -> Source:
        return Files(FilePlace(bucket=self.bucket))

    def table(self, rows: int) -> str:
        name = f"t_{uuid.uuid4().hex[:8]}"
        self._files[name] = []
        half = rows // 2
        self.add(name, range(1, half + 1))
        self.add(name, range(half + 1, rows + 1))
        return name

    def add(self, table: str, keys: Iterable[int]) -> None:
        self._files[table].append(list(keys))
        self._put(table, len(self._files[table]) - 1)

    def change(self, table: str, keys: Iterable[int]) -> None:
        for place, held in enumerate(self._files[table]):
            if set(held) & set(keys):
                self._put(table, place)

    def wanted(self, table: str, by_cursor: bool = True) -> Wanted:
        which: dict[str, Any] = (
            {"pattern": f"landing/{table}/*"} if table in self._files else {"keys": [f"landing/{table}/1.csv"]}
        )
        read = SourceFiles(workflow="w", job=table, contract=self.contract, **which)
        return Wanted(read, bronze_table=f"bronze_{table}", adds_only=True)

    def _put(self, table: str, place: int) -> None:
        version = uuid.uuid4().hex
        keys = self._files[table][place]
        if self.contract.format == "parquet":
            body = parquet_of(keys, version)
        else:
            body = "\n".join([f"{KEY},version", *(f"{key},{version}" for key in keys)]).encode()
        client("s3").put_object(Bucket=self.bucket, Key=f"landing/{table}/{place:04d}.csv", Body=body)


@pytest.fixture
def made(bucket: str) -> FilesUnderTest:
    """The bucket keeps versions: what was replaced after it was planned is still read as it was."""
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return FilesUnderTest(bucket)


class TestFiles(Conformance):
    has_cursors = False
    is_compared = False


class TestFilesAnswer(Questions):
    has_cursors = False
    is_compared = False
    has_tables = False


class FilesInSplits(FilesUnderTest):
    """Its tables begin as one file. `contract` is what its files are by."""

    def __init__(self, bucket: str, contract: FileContract = CONTRACT):
        super().__init__(bucket)
        self.contract = contract

    def table(self, rows: int) -> str:
        name = f"t_{uuid.uuid4().hex[:8]}"
        self._files[name] = []
        self.add(name, range(1, rows + 1))
        return name


class TestFilesInSplits(Conformance):
    """The same of files that are larger than a split."""

    has_cursors = False
    is_compared = False

    @pytest.fixture
    def made(self, made: FilesUnderTest, monkeypatch: pytest.MonkeyPatch) -> FilesInSplits:
        """A thousand rows are some 36 KB."""
        monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "5000")
        return FilesInSplits(made.bucket)

    def test_should_have_several_splits(self, made: FilesInSplits):
        plan = planned(made.source(), made.wanted(made.table(ROWS)))
        assert plan.splits is not None
        assert len(plan.splits.ranges) > 4


class TestParquetInSplits(TestFilesInSplits):
    """The same of Parquet, by its row groups."""

    @pytest.fixture
    def made(self, made: FilesUnderTest, monkeypatch: pytest.MonkeyPatch) -> FilesInSplits:
        """A row group of fifty rows is some 600 bytes."""
        monkeypatch.setenv("FLOWFORGE_SLICE_BYTES", "1000")
        return FilesInSplits(made.bucket, CONTRACT.model_copy(update={"format": "parquet"}))
