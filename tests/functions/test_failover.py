"""A failover within an availability group goes on; a restore, and a failover that may have lost rows, stop."""

from collections.abc import Iterator

import pytest

from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import SourceChanged
from flowforge.sources.sqlserver.identity import refuse_changed_source
from tests.helpers.loads import Loads

NEWER = "INSERT INTO {t} VALUES (40, '2024-04-04')"


@pytest.fixture
def load(loads) -> Iterator[Loads]:
    made = loads()
    yield made
    made.execute("EXEC flowforge_replica 'leave'")


def test_should_go_on_after_a_failover_within_the_group_and_say_so(load):
    load.execute("EXEC flowforge_replica 'join'")
    load.load("one", "id")
    load.execute("EXEC flowforge_replica 'failover'", NEWER)
    (fact,) = load.load("two", "id")
    assert fact.records >= 1
    assert "failed over from FLOWFORGE to FLOWFORGE-2, on the same recovery fork" in fact.notes[0]
    load.execute(NEWER.replace("40", "50"))
    (after,) = load.load("three", "id")
    assert not [note for note in after.notes if "failed over" in note]


@pytest.mark.parametrize("event", ["force", "restore"])
def test_should_stop_when_the_database_is_on_another_recovery_fork(load, event):
    load.execute("EXEC flowforge_replica 'join'")
    load.load("one", "id")
    load.execute(f"EXEC flowforge_replica '{event}'", NEWER)
    with pytest.raises(SourceChanged, match="recovery_fork was") as caught:
        ingest(load.command("two", "id"))
    assert "flowforge watermark accept" in caught.value.remedy


def test_should_stop_at_a_restore_of_a_database_that_is_in_no_group(load):
    load.load("one", "id")
    load.execute("EXEC flowforge_replica 'restore'")
    with pytest.raises(SourceChanged, match="restored"):
        ingest(load.command("two", "id"))


def test_should_stop_at_another_server_that_is_no_replica(load):
    load.load("one", "id")
    load.execute("EXEC flowforge_replica 'failover'")
    with pytest.raises(SourceChanged, match="server_name was FLOWFORGE"):
        ingest(load.command("two", "id"))


def test_should_stop_at_another_server_where_the_watermark_knows_no_fork():
    now = {"server_name": "B", "database_created": "2024", "recovery_fork": "F", "group_database": "G"}
    then = {"server_name": "A", "database_created": "2023"}
    with pytest.raises(SourceChanged, match="server_name"):
        refuse_changed_source("dbo.t", now, then)
    unknown = {"server_name": "B", "database_created": "2024"}
    with pytest.raises(SourceChanged, match="server_name"):
        refuse_changed_source("dbo.t", unknown, now | {"server_name": "A"})
    assert refuse_changed_source("dbo.t", now, {"server_name": "B"}) == []


@pytest.mark.parametrize("number", [7420, 35371, 41332])
def test_should_say_that_an_object_could_not_be_read_under_snapshot(load, number):
    load.execute(f"EXEC flowforge_fault 'snapshot {number}', 0, 1, 'FROM [dbo].[{load.name}]'")
    (fact,) = load.load("one", "id")
    assert (fact.records, fact.consistency) == (3, "read committed snapshot")
    (note,) = [note for note in fact.notes if "SNAPSHOT was refused" in note]
    assert note.startswith("read under read committed snapshot")
