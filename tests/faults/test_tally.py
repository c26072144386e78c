"""The figures that `make faults` ends with."""

from tests.faults.tally import Tally


def test_should_sum_what_was_tried_by_its_name():
    tally = Tally()
    tally.add("kill -9", kills=2, rows_checked=1_000)
    tally.add("two runs", redeliveries=1)
    tally.add("kill -9", kills=1, lost=4)
    assert (tally.total().kills, tally.total().redeliveries, tally.total().lost) == (3, 1, 4)
    head, _, first, second, total = tally.table()
    assert head.split()[:4] == ["what", "was", "tried", "schedules"]
    assert first.split() == ["kill", "-9", "0", "3", "0", "0", "1,000", "4", "0", "0"]
    assert (second.split()[:2], total.split()[0]) == (["two", "runs"], "total")
    assert len({len(line) for line in tally.table()}) == 1
