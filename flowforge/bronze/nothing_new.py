"""The end of a load that has nothing to read: no batch is claimed, so what a batch would have kept of it is kept here."""

from events.commands import IngestTable
from events.facts import IntervalEmpty
from events.targets import SourceFiles
from flowforge.bronze.file_notes import note_skipped, told_of_last
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.planning import Found
from flowforge.domain.batch import Batch
from flowforge.domain.given import given
from flowforge.sources.plans import ReadPlan
from flowforge.state import batch_records, batches, table


def nothing_new(looked: Found, plan: ReadPlan) -> Outcome:
    """Keeps what the source wants to see again, and the request's quality rules and gold; tells the run why there is nothing."""
    command, name, state = looked.command, looked.description.name, looked.known.state
    interval, found = plan.interval, given(plan.nothing)
    note_skipped(state, command.run_id, interval.skipped)
    if found.news:
        table.remember_samples(state, interval.column or "", plan.memory)
    if found.moves:
        state = table.move_watermark(state, interval, plan.identity)
    if found.wait_seconds:
        return Outcome([], found.wait_seconds, found.wait_reason)
    mark = state.watermarks.get(interval.column or "")
    fact = IntervalEmpty(
        run_id=command.run_id,
        bronze_table=command.bronze.table,
        source_key=state.source_key,
        generation=state.generation,
        seq=state.seq,
        source_table=name,
        reason=found.reason,
        promise=interval.promise,
        notes=[*found.notes, *_beside_last(state, command)],
        watermark_value=mark.value if mark else None,
        claimed=False,
    )
    return Outcome([fact])


def _beside_last(state: table.TableState, command: IngestTable) -> list[str]:
    """What is told of the newest batch, whose rules and gold give way to those of a request that asks for
    something else."""
    if command.only_keys or (state.asked == table.asked_of(command) and not isinstance(command.source, SourceFiles)):
        return []
    last = batch_records.last(state.source_key)  # of one that cannot be read, whoever needs it says so
    return [*told_of_last(last, command), *_ruled(last, command)] if last else []


def _ruled(last: Batch, command: IngestTable) -> list[str]:
    silver, asked, told = command.silver, last.gold_in_force, []
    if silver.quality_rules != last.rules_in_force:
        told.append(
            "the quality rules are others now, and hold for what silver still lacks, and for rows in quarantine when they are"
            f" released: flowforge quality {silver.table} --release"
        )
    gold = command.gold if command.gold.tables == asked.tables else asked  # others are claimed with a batch
    if gold != asked:
        told.append(
            "goldConfig is another now, and holds from when gold is next made: by new rows, a replay or a release"
        )
    if told:
        batches.note_asked(last, silver.quality_rules, gold)
    return told
