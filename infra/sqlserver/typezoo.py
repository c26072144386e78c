"""dbo.typezoo: one column of every SQL Server type; a typical row, the greatest values, the least, and NULLs.

Row 1 is typical, 2 the greatest, 3 the least (or empty), 4 NULL wherever the type allows it. Written in T-SQL and run
by the stand-in itself.
"""

# ruff: noqa: E501 - SQL text and data read best unbroken; composing SQL is what this module does

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .batches import Batches
from .errors import SqlError

if TYPE_CHECKING:
    from .session import Session

# (column, type, typical, greatest, least), as T-SQL
COLUMNS = [
    ("c_tinyint", "tinyint", "200", "255", "0"),
    ("c_smallint", "smallint", "-5", "32767", "-32768"),
    ("c_int", "int", "7", "2147483647", "-2147483648"),
    ("c_bigint", "bigint", "9007199254740993", "9223372036854775807", "-9223372036854775808"),
    ("c_bit", "bit", "1", "1", "0"),
    ("c_real", "real", "1.5", "3.4e38", "-3.4e38"),
    ("c_float", "float", "0.1e0", "1.7e308", "-1.7e308"),
    ("c_dec9_2", "decimal(9,2)", "12345.67", "9999999.99", "-9999999.99"),
    ("c_dec15_2", "decimal(15,2)", "12345678901.23", "9999999999999.99", "-9999999999999.99"),
    ("c_dec38_0", "decimal(38,0)", "12345678901234567890123456789012345678", "9" * 38, "-" + "9" * 38),
    ("c_dec38_20", "decimal(38,20)", "123456789012345678.12345678901234567890", f"{'9' * 18}.{'9' * 20}", f"-{'9' * 18}.{'9' * 20}"),
    ("c_money", "money", "1234.5678", "922337203685477.5807", "-922337203685477.5808"),
    ("c_smallmoney", "smallmoney", "12.3456", "214748.3647", "-214748.3648"),
    ("c_date", "date", "'2024-02-29'", "'9999-12-31'", "'0001-01-01'"),
    ("c_time0", "time(0)", "'12:34:56'", "'23:59:59'", "'00:00:00'"),
    ("c_time7", "time(7)", "'12:34:56.1234567'", "'23:59:59.9999999'", "'00:00:00'"),
    ("c_datetime", "datetime", "'2024-02-29 12:34:56.997'", "'9999-12-31 23:59:59.997'", "'1753-01-01'"),
    ("c_smalldatetime", "smalldatetime", "'2024-02-29 12:34:00'", "'2079-06-06 23:59:00'", "'1900-01-01'"),
    ("c_dt2_0", "datetime2(0)", "'2024-02-29 12:34:56'", "'9999-12-31 23:59:59'", "'0001-01-01'"),
    ("c_dt2_3", "datetime2(3)", "'2024-02-29 12:34:56.123'", "'9999-12-31 23:59:59.999'", "'0001-01-01'"),
    ("c_dt2_7", "datetime2(7)", "'2024-02-29 12:34:56.1234567'", "'9999-12-31 23:59:59.9999999'", "'0001-01-01'"),
    ("c_dto7", "datetimeoffset(7)", "'2024-02-29 12:34:56.1234567 +05:30'", "'9999-12-31 23:59:59.9999999 +00:00'", "'0001-01-01 00:00:00 +00:00'"),
    ("c_uuid", "uniqueidentifier", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00000000-0000-0000-0000-000000000000'"),
    ("c_char10", "char(10)", "'abc'", "'abcdefghij'", "''"),
    ("c_varchar50", "varchar(50)", "'café €'", f"'{'x' * 50}'", "''"),
    ("c_varcharmax", "varchar(max)", "REPLICATE(CAST('v' AS varchar(max)), 20000)", "REPLICATE(CAST('V' AS varchar(max)), 100000)", "''"),
    ("c_nchar5", "nchar(5)", "N'हिन्'", "N'abcde'", "N''"),
    ("c_nvarchar50", "nvarchar(50)", "N'नमस्ते \U0001f600'", f"N'{'é' * 50}'", "N''"),
    ("c_nvarcharmax", "nvarchar(max)", "REPLICATE(CAST(N'₹' AS nvarchar(max)), 12000)", "REPLICATE(CAST(N'न' AS nvarchar(max)), 60000)", "N''"),
    ("c_binary4", "binary(4)", "0x010200FF", "0xFFFFFFFF", "0x00000000"),
    ("c_varbinary20", "varbinary(20)", "0x0001FE", f"0x{'FF' * 20}", "0x"),
    ("c_varbinarymax", "varbinary(max)", f"0x{bytes(range(256)).hex() * 40}", f"0x{'AB' * 100000}", "0x"),
    ("c_rowversion", "rowversion", "", "", ""),
    ("c_xml", "xml", "N'<a b=\"1\">न</a>'", "'<r>' + REPLICATE(CAST('x' AS varchar(max)), 20000) + '</r>'", "N'<r/>'"),
    ("c_text", "text", "'old text'", "REPLICATE(CAST('t' AS varchar(max)), 9000)", "''"),
    ("c_ntext", "ntext", "N'old न'", "REPLICATE(CAST(N'n' AS nvarchar(max)), 9000)", "N''"),
    ("c_image", "image", "0x89504E47", f"0x{'69' * 9000}", "0x"),
    ("c_variant", "sql_variant", "CAST(42 AS sql_variant)", "CAST(N'hé' AS sql_variant)", "CAST(CAST('2023-03-15 00:00:01' AS datetime) AS sql_variant)"),
    ("c_geography", "geography", "geography::Point(19.07, 72.87, 4326)", "geography::Point(90, 180, 4326)", "geography::Point(-90, -180, 4326)"),
    ("c_hierarchyid", "hierarchyid", "'/1/'", "'/1/1/'", "'/'"),
]  # fmt: skip


class _Silent:
    """A sink for setting up: nothing to show, errors raise."""

    def failed(self, error: SqlError) -> None:
        raise error

    def __getattr__(self, name: str):
        return lambda *_: None


def create_typezoo(session: Session) -> None:
    """Creates and fills dbo.typezoo."""
    definitions = ", ".join(f"{name} {kind}" for name, kind, *_ in COLUMNS)
    names = ["id"] + [name for name, kind, *_ in COLUMNS if kind != "rowversion"]
    rows = []
    for number in (1, 2, 3):
        rows.append([str(number)] + [column[1 + number] for column in COLUMNS if column[1] != "rowversion"])
    rows.append(["4"] + ["NULL"] * (len(names) - 1))
    script = f"CREATE TABLE dbo.typezoo (id int NOT NULL PRIMARY KEY, {definitions});"
    for row in rows:
        script += f"INSERT INTO dbo.typezoo ({', '.join(names)}) VALUES ({', '.join(row)});"
    silent: Any = _Silent()  # it takes whatever it is told
    Batches(session).run(script, silent)
