"""The gold step: from a SilverRefined to a GoldPublished, and from a model file to a ModelsPublished."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from events.facts import GoldPublished, ModelsPublished, SilverRefined
from flowforge.bronze.announcements import about, landed_batch
from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.state import batch_records, batches, gold_builds

if TYPE_CHECKING:  # with the engine behind it
    from flowforge.gold.publish import Tell


def publish_refined(refined: SilverRefined) -> GoldPublished | None:
    """Publishes what follows from the batch and records it; None when a correction by hand has voided the batch."""
    from flowforge.gold.publish import publish

    newest = batch_records.last(refined.source_key)
    batch = landed_batch(refined, newest)
    if batch is None:
        return None
    started = time.monotonic()
    result = publish(_as_asked_now(batch, newest), given(batch.manifest).bucket, _told(refined.run_id), refined.version)
    batches.mark(batch, published=True)
    return GoldPublished(
        **about(batch),
        gold_tables=result.gold_tables,
        models=result.models,
        deferred=result.deferred,
        seconds=round(time.monotonic() - started, 3),
    )


def _as_asked_now(batch: Batch, newest: Batch | None) -> Batch:
    """The batch with gold as its table's newest request wants it, where that names the same tables: a rule or a model that has
    stopped it by mistake can be mended."""
    asked = (newest or batch).gold_in_force
    if asked == batch.command.gold or asked.tables != batch.command.gold.tables:
        return batch
    return batch.model_copy(update={"command": batch.command.model_copy(update={"gold": asked})})


def publish_dropped(bucket: str, key: str) -> ModelsPublished | None:
    """Builds the model that was dropped in the bucket, and those that read it; None for a file that is no model."""
    from flowforge.domain.errors import NotFound
    from flowforge.gold.model_files import is_model
    from flowforge.gold.publish import publish_model

    if not is_model(key):
        return None
    started = time.monotonic()
    try:
        result = publish_model(key, bucket, _told(None))
    except NotFound:  # gone again, or left out since a newer file is in its place
        return None
    for one in result.models:
        if one.how == "unchanged":  # somebody else has built it since; its turn is over all the same
            gold_builds.note(one.table, None, "built", datetime.now(UTC))
    seconds = round(time.monotonic() - started, 3)
    return ModelsPublished(model_key=key, models=result.models, deferred=result.deferred, seconds=seconds)


def _told(run_id: str | None) -> "Tell":
    """Notes what became of each model, for lists of tables."""
    return lambda outcome: gold_builds.note(outcome.table, run_id, outcome.outcome, outcome.at)
