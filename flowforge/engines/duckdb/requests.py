"""What DuckDB asks of S3, counted for the delivery that is under way from DuckDB's own log of HTTP requests.

That log is kept in memory and holds the headers of requests. So it is kept in deliveries only, and ends before SQL of somebody
else runs (`DuckDBSession.confine`): what that SQL reads is not counted.
"""

import duckdb

from flowforge.aws import usage


class RequestCount:
    """The count of one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection, self._goes_on = connection, False

    def begin(self) -> None:
        """Counts from here on."""
        self._goes_on = usage.is_measuring()
        if self._goes_on:
            self._connection.execute("CALL enable_logging('HTTP')")

    def end(self) -> None:
        """Counts what was asked so far, and nothing from here on; the log is emptied."""
        if not self._goes_on:
            return
        self._goes_on = False
        asked = "SELECT CAST(request.type AS VARCHAR), count(*) FROM duckdb_logs_parsed('HTTP') GROUP BY 1"
        for method, times in self._connection.execute(asked).fetchall():
            if method != "DELETE":
                usage.count("s3_gets" if method in ("GET", "HEAD") else "s3_puts", times)
        self._connection.execute("CALL disable_logging()")
        self._connection.execute("CALL truncate_duckdb_logs()")
