"""Work of somebody else ends in an error, whatever it asks for."""

import resource
import sys
import threading

import pytest

from flowforge.runtime.bounded_work import bounded_memory, within


def test_should_answer_or_raise_as_the_work_does():
    assert within(20, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(20, lambda: 1 // 0)


def test_should_wait_no_longer_than_it_was_told():
    never = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, never.wait)
    never.set()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded where RLIMIT_DATA is")
def test_should_bound_memory_for_the_block_alone():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with bounded_memory(64), bounded_memory(64), pytest.raises(MemoryError):
        bytearray(256 * 2**20)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with bounded_memory(0):
        assert len(bytearray(256 * 2**20)) == 256 * 2**20
