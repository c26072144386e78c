"""The source key: which table of which database lands in which bronze table. Printed and parsed here, and nowhere else.

    host:port/database/schema.table>bronze_table          a query has no schema: host:port/database/query-1f…>bronze_table
    s3://bucket/workflow.job>bronze_table                 the files of a job

The text is the identity of a watermark: the partition key of its items, and part of footers, heads and Delta transactions. So it
never changes once it is stored. A character is escaped only where it would be taken for the sign that ends its part, as % and two
hexadecimal digits; a % is escaped only where it would begin such an escape. Every other name stands as it is, with its blanks,
slashes and signs, so that the keys of earlier versions, which escaped nothing, are read as they are.
"""

import re
from typing import NamedTuple

from events.names import written_name
from events.targets import FilePlace, SourcePlace

FILES = "s3"  # in place of a host; such a key has no port
_FORM = re.compile(
    r"(?P<host>[^/]*):(?:(?P<port>\d+)|(?<=^s3:)/)/(?P<database>[^/]*)/(?P<table>.*)>(?P<bronze>[^>]*)", re.DOTALL
)


class SourceKey(NamedTuple):
    """A source key as a value; `schema` is empty for a query. Of files the host is `s3`, the port 0, the database a bucket, and a
    workflow's job is the table. `str` prints it, `parse` reads what `str` has printed."""

    host: str
    port: int
    database: str
    schema: str
    table: str
    bronze_table: str

    @classmethod
    def of(cls, connection: SourcePlace, schema: str, table: str, bronze_table: str) -> "SourceKey":
        """The key of a table, in the catalog's spelling, or of a query's name without a schema."""
        if isinstance(connection, FilePlace):
            return cls(FILES, 0, connection.bucket, schema, table, bronze_table)
        return cls(connection.host.lower(), connection.port, connection.database, schema, table, bronze_table)

    @classmethod
    def parse(cls, text: str) -> "SourceKey":
        """The value of a printed key. Raises ValueError for any other text."""
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError(f"{text[:300]!r} is no source key: expected host:port/database/schema.table>bronze_table")
        schema, dot, table = found["table"].partition(".")
        named = (_plain(schema, "."), table) if dot else ("", _plain(found["table"], "."))
        database, bronze_table = _plain(found["database"], "/"), _plain(found["bronze"], ">")
        return cls(_plain(found["host"], "/"), int(found["port"] or 0), database, *named, bronze_table)

    def __str__(self) -> str:
        database, bronze_table = _escaped(self.database, "/"), _escaped(self.bronze_table, ">")
        return f"{_server(_escaped(self.host, '/'), self.port)}/{database}/{self.named}>{bronze_table}"

    @property
    def named(self) -> str:
        """The table's part of the printed key."""
        return f"{_escaped(self.schema, '.')}.{self.table}" if self.schema else _escaped(self.table, ".")

    @property
    def is_files(self) -> bool:
        """Whether it names the files of a job."""
        return not self.port

    @property
    def unescaped(self) -> str:
        """The key as earlier versions have stored it."""
        return f"{self.server}/{self.database}/{self.source_table}>{self.bronze_table}"

    @property
    def server(self) -> str:
        """`host:port`; of files `s3:/`."""
        return _server(self.host, self.port)

    @property
    def source_table(self) -> str:
        """`schema.table`, the name of a query, or `workflow.job` of files, for people."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def written(self) -> str:
        """The same as a request writes it, in brackets where a part needs them: what a source finds the table by."""
        return written_name(self.schema, self.table) if self.schema else self.table


def is_of_files(text: str) -> bool:
    """Whether a stored key, or one that somebody has damaged, names the files of a job."""
    return text.startswith(f"{FILES}://")


def _server(host: str, port: int) -> str:
    return f"{host}:{port}" if port else f"{host}:/"


def bronze_table_of(text: str) -> str:
    """The bronze table of a stored key, also of one that somebody has damaged: errors name their table by it."""
    return _plain(text.rpartition(">")[2], ">")


def _escaped(part: str, end: str) -> str:
    """A part without the sign that ends it."""
    codes = f"{ord('%'):02X}|{ord(end):02X}"
    return re.sub(f"%(?={codes})|{re.escape(end)}", lambda sign: f"%{ord(sign[0]):02X}", part)


def _plain(part: str, end: str) -> str:
    """A part as it was before `_escaped`."""
    codes = f"{ord('%'):02X}|{ord(end):02X}"
    return re.sub(f"%({codes})", lambda code: chr(int(code[1], 16)), part)
