"""The data files of one version of a Delta table, and the upkeep of files and log.

Guarantees: what is told of files is read from the log alone; a file without statistics may hold anything.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from arro3.core import RecordBatchReader
from deltalake import CommitProperties

from flowforge.aws.objects import find_object, place_of
from flowforge.engines.base import ArrowStream
from flowforge.tables.base import DataFile, once
from flowforge.tables.delta.log import CHECKPOINT_COMMITS
from flowforge.tables.delta.writing import Writes

CHECKPOINTS = {"delta.checkpointInterval": str(CHECKPOINT_COMMITS)}


class Files(Writes):
    """A handle that tells of its columns and files."""

    @property
    def table_id(self) -> str:
        """The table's id; one that is made anew has another."""
        return str(self.metadata().id)

    def empty(self) -> ArrowStream:
        """No rows, in the table's columns and types."""
        return RecordBatchReader.from_batches(self.schema().to_arrow(), [])

    def schema_text(self) -> str:
        """The columns in order, as the log has them."""
        return self.schema().to_json()

    def column_words(self) -> dict[str, str]:
        """The columns in order, with their types in Delta's own words (of a nested one its kind)."""
        return {field.name: field.type.type for field in self.schema().fields}

    def properties(self) -> Mapping[str, str]:
        """The table's properties."""
        return self.metadata().configuration

    def data_files(self, ranged: Iterable[str] = ()) -> list[DataFile]:
        """The files of the handle's version, with the ranges of the columns `ranged` where the log has them."""
        actions = self.get_add_actions(flatten=True)
        known = [n for n in ranged if {f"min.{n}", f"max.{n}"} <= set(actions.schema.names)]
        bounds = [zip(*(actions[f"{end}.{n}"].to_pylist() for end in ("min", "max")), strict=True) for n in known]
        facts = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
        ranges = zip(*bounds, strict=True) if known else ((),) * actions.num_rows
        return [
            DataFile(path, size, rows, dict(zip(known, of, strict=True)))
            for (path, size, rows), of in zip(zip(*facts, strict=True), ranges, strict=True)
        ]

    def vacuum_files(self, retention_hours: int, note: Mapping[str, Any], replaced_only: bool = False) -> int:
        """Deletes what no version needs that is younger than the retention; returns how many files. See `LakeTable`."""
        self.reach_store()
        deleted = self.vacuum(
            retention_hours,
            dry_run=False,
            enforce_retention_duration=False,
            full=not replaced_only,
            commit_properties=CommitProperties(custom_metadata=dict(note)),
        )
        return len(deleted)

    def checkpoint(self, least_commits: int, note: Mapping[str, Any]) -> bool:
        """Writes a checkpoint where the log has so many commits since the last one; drops the log's expired part before it.

        Where nobody has said how often commits write one, as in tables that were made before it was said, that is a property
        from now on.
        """
        if not CHECKPOINTS.keys() <= self.properties().keys():
            self.set_properties(CHECKPOINTS, once(metadata=note))
        self.reach_store()
        last = self._last_checkpoint()
        due = self.version() - last >= least_commits
        if due:
            self.create_checkpoint()
        if due or last >= 0:
            self.cleanup_metadata()
        return due

    def _last_checkpoint(self) -> int:
        """The version of the log's last checkpoint; -1 where there is none."""
        bucket, prefix = place_of(self.uri)
        found = find_object(bucket, f"{prefix}/_delta_log/_last_checkpoint")
        return int(json.loads(found.body)["version"]) if found else -1
