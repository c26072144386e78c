"""Files behind the seam: what every kind of source keeps."""

import uuid
from collections.abc import Iterable
from typing import Any

import pytest

from events.files import FileColumn, FileContract
from events.targets import FilePlace, SourceFiles
from flowforge.aws.clients import client
from flowforge.sources.base import Source, Wanted
from flowforge.sources.files.source import Files
from tests.helpers.source_conformance import KEY, ROWS, Conformance, planned

CONTRACT = FileContract(
    format="csv", columns=[FileColumn(name=KEY, field=KEY, type="bigint"), FileColumn(name="version", field="version")]
)


class FilesUnderTest:
    """A table is a folder of files: one for each order to make or to add rows. A row is changed by new content of its file."""

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
        read = SourceFiles(workflow="w", job=table, contract=CONTRACT, **which)
        return Wanted(read, bronze_table=f"bronze_{table}", adds_only=True)

    def _put(self, table: str, place: int) -> None:
        version = uuid.uuid4().hex
        lines = [f"{KEY},version", *(f"{key},{version}" for key in self._files[table][place])]
        body = "\n".join(lines).encode()
        client("s3").put_object(Bucket=self.bucket, Key=f"landing/{table}/{place:04d}.csv", Body=body)


@pytest.fixture
def made(bucket: str) -> FilesUnderTest:
    """The bucket keeps versions: what was replaced after it was planned is still read as it was."""
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return FilesUnderTest(bucket)


class TestFiles(Conformance):
    has_cursors = False
    is_compared = False


class FilesInSplits(FilesUnderTest):
    """Its tables begin as one file."""

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
