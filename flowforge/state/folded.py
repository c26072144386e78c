"""What is left of batches whose records were folded: one item of sums for each table.

Guarantees: sums and records change in one transaction, and only where each record is as it was read: a batch counts once.
"""

import hashlib
from typing import Any

from pydantic import BaseModel

from flowforge.aws import items
from flowforge.domain.batch import Batch
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import key_of, label_key

FOLDED = "FOLDED"


class Folded(BaseModel):
    """Sums of a table's folded batches: `order` is the newest one's, `records` and `bytes` what they have landed, `until`
    when the newest one came to its end (epoch seconds)."""

    order: int = 0
    batches: int = 0
    records: int = 0
    bytes: int = 0
    until: float = 0.0
    version: int = 0


def read_folded(source_key: str) -> Folded:
    """The sums of a table; all 0 where nothing was folded."""
    return Folded.model_validate(items.get(settings().watermarks_table, _key(source_key)) or {})


def fold(source_key: str, batches: list[Batch]) -> bool:
    """Adds batches to their table's sums and deletes what is stored of them; False where one of them, or the sums, have
    changed since they were read."""
    before = read_folded(source_key)
    manifests = [batch.manifest for batch in batches if batch.manifest]
    after = Folded(
        order=max(before.order, *(batch.order for batch in batches)),
        batches=before.batches + len(batches),
        records=before.records + sum(manifest.rows for manifest in manifests),
        bytes=before.bytes + sum(manifest.bytes for manifest in manifests),
        until=max(before.until, *(batch.updated_at for batch in batches)),
        version=before.version + 1,
    )
    condition = "version = :was" if before.version else "attribute_not_exists(pk)"
    sums = items.put_action(settings().watermarks_table, _key(source_key) | after.model_dump(), condition)
    if before.version:
        sums["Put"]["ExpressionAttributeValues"] = items.encode({":was": before.version})
    removed = {str(action["Delete"]["Key"]): action for batch in batches for action in _removed(batch)}
    return items.transact([sums, *removed.values()])


def _removed(batch: Batch) -> list[dict[str, Any]]:
    table = settings().watermarks_table
    record = items.delete_action(table, key_of(batch))
    record["Delete"]["ConditionExpression"] = "updated_at = :read AND attribute_not_exists(#open)"
    record["Delete"]["ExpressionAttributeNames"] = {"#open": "open"}
    record["Delete"]["ExpressionAttributeValues"] = items.encode({":read": batch.updated_at})
    label = label_key(batch.command.bronze.table, batch.label)
    names = [items.delete_action(table, label)] if cannot_come_again(batch) else []
    if batch.state == "voided":  # its run may have claimed another one since
        return [record, *names]
    run = items.delete_action(table, {"pk": batch.source_key, "sk": f"RUN#{batch.command.run_id}"})
    run["Delete"]["ConditionExpression"] = "attribute_not_exists(pk) OR (generation = :generation AND seq = :seq)"
    place = {":generation": batch.generation, ":seq": batch.seq}
    run["Delete"]["ExpressionAttributeValues"] = items.encode(place)
    return [record, run, *names]


def cannot_come_again(batch: Batch) -> bool:
    """Whether no later batch can be given this one's label: it ends with its run, or with its place and source."""
    label, command = batch.label, batch.command
    if label == command.batch_id:
        return label.startswith("batch_") and label.endswith(f"_{command.run_id[-6:]}")
    return label.endswith(f"~{batch.seq}~{digest_of(batch.source_key)}")


def digest_of(source_key: str) -> str:
    """What tells the labels of a source from those of another that fills the same bronze table."""
    return hashlib.sha256(source_key.encode()).hexdigest()[:6]


def _key(source_key: str) -> items.Item:
    return {"pk": source_key, "sk": FOLDED}
