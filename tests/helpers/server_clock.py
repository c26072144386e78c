"""The clock of a server that a test loads from."""

from tests.helpers.standin import StandIn


def is_past(server: StandIn, moment: str, seconds: int) -> bool:
    """Whether the server's clock has gone so far beyond a moment. A row that lies within a second below a watermark is read
    again by the next load, and its table queued again."""
    later = f"DATEADD(second, {seconds}, CAST('{moment}' AS datetime2(3)))"
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT CASE WHEN SYSUTCDATETIME() > {later} THEN 1 ELSE 0 END")
        return cursor.fetchall()[0][0] == 1
