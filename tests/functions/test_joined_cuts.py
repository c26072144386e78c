"""Tables that come to a cut after they were loaded without, and what goes on beside cuts: no sum is ever off."""

from contextlib import closing

import pytest

from flowforge.bronze.cut import ingest_cut
from flowforge.domain.errors import Wait
from flowforge.bronze.ingest import ingest
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
