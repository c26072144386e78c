"""Tables that come to a cut after they were loaded without, and what goes on beside cuts: no sum is ever off."""

import pytest

from events.facts import BronzeLanded
from flowforge.bronze.cut import ingest_cut
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import Wait
from flowforge.domain.given import given
from flowforge.gold.step import publish_refined
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from tests.helpers.cuts import MONEY


@pytest.mark.parametrize("chained", [False, True])
def test_should_publish_no_model_of_a_first_cut_before_all_its_tables_have_reached_it(ledger, chained):
    ledger.chained = chained
    ledger.load_apart()
    ledger.transfer(5)
    ledger.load()
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)
    waiting = [waits for published in ledger.published for waits in published.deferred]
    assert any("was loaded without consistentCut" in waits or "was of a cut" in waits for waits in waiting), waiting


def test_should_begin_no_first_cut_beside_a_load_that_is_on_its_way(ledger):
    ledger.load_apart()
    ledger.transfer(5)
    alone = ingest(ledger.commands(together=False)[1])
    with pytest.raises(Wait, match="batch 2 is"):
        ingest_cut(ledger.command())
    ledger.follow(alone)
    ledger.load()
    assert (ledger.held()[-1], ledger.cuts()) == (MONEY, [ledger.version()] * 3)


def test_should_show_no_half_of_a_transfer_whose_transaction_stays_open_over_cuts(ledger):
    ledger.load()
    with ledger.tables[0].server.connect(autocommit=False) as late, late.cursor() as cursor:
        cursor.execute(f"UPDATE {ledger.names[1]} SET at = at - 9 WHERE id = 3")
        ledger.transfer(5)
        ledger.load()
        cursor.execute(f"UPDATE {ledger.names[0]} SET at = at + 9 WHERE id = 3")
        ledger.transfer(6)
        ledger.tables[0].meanwhile = [late.commit]  # while the cut is read
        ledger.load()
    ledger.load()
    assert (set(ledger.held()), ledger.silver()) == ({MONEY}, ledger.source())


def test_should_show_no_half_of_a_transfer_while_one_table_is_replayed_and_made_anew(ledger):
    ledger.load()
    ledger.transfer(5)
    first, second = [fact for fact in ingest_cut(ledger.command()).facts if isinstance(fact, BronzeLanded)]
    ledger.follow(Outcome([first]))
    for refined in list(ledger.refined):  # each comes again, while the other table is at the cut before
        ledger.published.append(given(publish_refined(refined)))
    spoilt = ledger.lake("silver", ledger.names[0])
    spoilt.delete("id = 2")
    made = rebuild_silver(settings().bucket, ledger.names[0], True, 10)
    assert made.version is not None
    ledger.published.append(given(publish_refined(ledger.refined[-1])))
    assert set(ledger.held()) == {MONEY}
    ledger.follow(Outcome([second]))
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)
    assert ledger.silver() == ledger.source()


def test_should_show_no_half_of_a_transfer_while_one_table_is_loaded_without(ledger):
    ledger.load()
    ledger.transfer(5)
    for settings_of in ({}, {"window": {"column": "at"}}):
        ledger.follow(ingest(ledger.commands(together=False, **settings_of)[0]))
        ledger.transfer(6)
        assert set(ledger.held()) == {MONEY}
    ledger.load()
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)
    assert ledger.silver() == ledger.source()
