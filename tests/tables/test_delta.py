"""Delta gives what a table format has to give."""

from flowforge.tables.delta.tables import Delta
from tests.tables.conformance import TableConformance


class TestDelta(TableConformance):
    """The suite over Delta."""

    tables = Delta()
