"""Changes that Change Tracking does not know any more: said with the command that helps, or the table is read anew."""

import pytest

from events.facts import IntervalEmpty
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import ChangesLost, SourceChanged, Wait
from flowforge.operations.watermarks import reset_by_hand
from tests.helpers.loads import run_slices
from tests.helpers.tracked import MANY, kinds


def test_should_move_on_while_nothing_changes_so_that_clean_up_does_not_overtake_it(tracked):
    source, other = tracked(), tracked()
    source.load()
    other.execute("INSERT INTO {t} VALUES (70, '2024-07-07')")
    idle = source.load()
    assert isinstance(idle, IntervalEmpty)
    assert (idle.watermark_value, source.table.watermark()) == (str(source.version() + 1),) * 2
    assert source.table.states() == ["committed"]  # no batch for what did not happen
    source.execute(f"EXEC flowforge_tracking 'clean', 'dbo.{{t}}', {source.version()}")
    source.execute("INSERT INTO {t} VALUES (80, '2024-08-08')")
    assert kinds(source.load()) == {80: "insert"}
    same = source.load()
    assert isinstance(same, IntervalEmpty) and "nothing has changed since version" in same.reason


GAPS = {
    "clean-up": [
        "UPDATE {t} SET at = '2025-01-01' WHERE id = 10",
        "EXEC flowforge_tracking 'clean', 'dbo.{t}', 999999",
    ],
    "truncate": ["TRUNCATE TABLE {t}", "INSERT INTO {t} VALUES (90, '2024-09-09')"],
    "off and on": [
        "ALTER TABLE {t} DISABLE CHANGE_TRACKING",
        "DELETE FROM {t} WHERE id = 10",
        "ALTER TABLE {t} ENABLE CHANGE_TRACKING",
    ],
}


@pytest.mark.parametrize("gap", GAPS)
def test_should_say_that_changes_are_lost_with_the_command_that_helps(tracked, gap):
    source = tracked()
    source.load()
    before = source.silver_rows()
    source.execute(*GAPS[gap])
    with pytest.raises(ChangesLost, match="changes of it are lost") as caught:
        source.load()
    assert f"flowforge watermark reset bronze_{source.table.name} --yes" in caught.value.remedy
    assert source.silver_rows() == before
    reset_by_hand(f"bronze_{source.table.name}", "tracking has lost changes")
    source.load()
    assert source.agrees()


@pytest.mark.parametrize("gap", GAPS)
def test_should_read_the_table_anew_where_the_request_wants_it(tracked, gap):
    source = tracked(on_gap="full_refresh")
    source.load()
    source.execute(*GAPS[gap])
    fact = source.load()
    assert any("read anew, since changes of it are lost" in note for note in fact.notes)
    assert source.agrees()
    source.execute("DELETE FROM {t} WHERE id = 30", "DELETE FROM {t} WHERE id = 90")
    source.load()
    assert source.agrees()


def test_should_notice_a_database_that_was_restored(tracked):
    source = tracked()
    source.execute("INSERT INTO {t} VALUES (40, '2024-04-04')")
    source.load()
    source.execute("DELETE FROM {t} WHERE id = 40", f"EXEC flowforge_tracking 'rewind', {source.version() - 1}")
    with pytest.raises(ChangesLost, match="restored to an earlier moment"):
        source.load()
    source.execute("INSERT INTO {t} VALUES (41, '2024-04-04')", "INSERT INTO {t} VALUES (42, '2024-04-04')")
    source.execute("EXEC flowforge_replica 'restore'")
    with pytest.raises(SourceChanged, match="restored") as caught:
        source.load()
    assert f"flowforge watermark reset bronze_{source.table.name} --yes" in caught.value.remedy
    fact = source.load(on_gap="full_refresh")
    assert any("the database was restored" in note for note in fact.notes)
    assert source.agrees()


def test_should_not_land_a_part_of_the_changes_that_clean_up_has_taken_during_the_read(tracked):
    source = tracked(on_gap="full_refresh")
    source.load()
    source.execute("UPDATE {t} SET at = '2025-01-01'")
    clean = f"EXEC flowforge_tracking 'clean', 'dbo.{{t}}', {source.version()}"
    command = source.command()
    source.before_claim = lambda: source.execute(clean)
    with pytest.raises(Wait, match="while its changes were read: changes are known since"):
        ingest(command)
    (fact,) = source.follow(ingest(command)).facts
    assert any("clean-up has taken" in note for note in fact.notes)
    assert source.agrees()


def test_should_plan_slices_of_changes_anew_that_clean_up_has_met(tracked, sliced):
    source = tracked(on_gap="full_refresh")
    ingest(source.command())
    source.follow(Outcome(run_slices(source.table)))
    source.execute(*MANY)
    command = source.command()
    ingest(command)
    source.execute("UPDATE {t} SET at = '2026-01-01' WHERE id = 10")
    source.execute(f"EXEC flowforge_tracking 'clean', 'dbo.{{t}}', {source.version()}")
    assert run_slices(source.table) == []
    assert {again.run_id for again in source.table.submitted_again()} == {command.run_id}
    (read_anew,) = ingest(command).progress
    assert read_anew.seq == 3
    (fact,) = source.follow(Outcome(run_slices(source.table))).facts
    assert "read anew" in " ".join(fact.notes)
    assert source.agrees()
