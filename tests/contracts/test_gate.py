"""What `.ci/run` draws at random is the same in every run, unless it is told otherwise; elsewhere it is not."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

GATE = (Path(__file__).resolve().parents[2] / ".ci" / "run").read_text()


def drawn(profile: str) -> list[int]:
    found = []

    @settings(settings.get_profile(profile), max_examples=20, database=None)
    @given(st.integers())
    def look(number):
        found.append(number)

    look()
    return found


def test_should_draw_the_same_in_the_gate_and_something_new_elsewhere():
    assert drawn("ci") == drawn("ci")
    assert drawn("explore") != drawn("explore")


def test_should_run_the_gate_with_what_repeats():
    before, _, _ = GATE.partition("make test")
    assert "export FLOWFORGE_TEST_PROFILE=ci\n" in before
    assert "export FAULTS_SEED=${FAULTS_SEED:-" in before
