"""Every SQL Server type crosses the wire with its exact value, in both directions."""

# ruff: noqa: E501 - SQL text and data read best unbroken

import datetime as dt
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest

NINES = "9" * 18 + "." + "9" * 20
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999)

# column: typical, greatest, least
ZOO = {
    "c_tinyint": (200, 255, 0),
    "c_smallint": (-5, 32767, -32768),
    "c_int": (7, 2**31 - 1, -(2**31)),
    "c_bigint": (2**53 + 1, 2**63 - 1, -(2**63)),
    "c_bit": (True, True, False),
    "c_real": (1.5, pytest.approx(3.4e38), pytest.approx(-3.4e38)),
    "c_float": (0.1, 1.7e308, -1.7e308),
    "c_dec9_2": (Decimal("12345.67"), Decimal("9999999.99"), Decimal("-9999999.99")),
    "c_dec15_2": (Decimal("12345678901.23"), Decimal("9999999999999.99"), Decimal("-9999999999999.99")),
    "c_dec38_0": (Decimal("12345678901234567890123456789012345678"), Decimal("9" * 38), Decimal("-" + "9" * 38)),
    "c_dec38_20": (Decimal("123456789012345678.12345678901234567890"), Decimal(NINES), Decimal("-" + NINES)),
    "c_money": (Decimal("1234.5678"), Decimal("922337203685477.5807"), Decimal("-922337203685477.5808")),
    "c_smallmoney": (Decimal("12.3456"), Decimal("214748.3647"), Decimal("-214748.3648")),
    "c_date": (dt.date(2024, 2, 29), dt.date.max, dt.date.min),
    "c_time0": (dt.time(12, 34, 56), dt.time(23, 59, 59), dt.time(0)),
    "c_time7": (dt.time(12, 34, 56, 123456), dt.time.max, dt.time(0)),  # pymssql keeps microseconds
    "c_datetime": (dt.datetime(2024, 2, 29, 12, 34, 56, 997000), LAST.replace(microsecond=997000), dt.datetime(1753, 1, 1)),
    "c_smalldatetime": (dt.datetime(2024, 2, 29, 12, 34), dt.datetime(2079, 6, 6, 23, 59), dt.datetime(1900, 1, 1)),
    "c_dt2_0": (dt.datetime(2024, 2, 29, 12, 34, 56), LAST.replace(microsecond=0), dt.datetime.min),
    "c_dt2_3": (dt.datetime(2024, 2, 29, 12, 34, 56, 123000), LAST.replace(microsecond=999000), dt.datetime.min),
    "c_dt2_7": (dt.datetime(2024, 2, 29, 12, 34, 56, 123456), LAST, dt.datetime.min),
    "c_dto7": (dt.datetime(2024, 2, 29, 12, 34, 56, 123456, INDIA), LAST.replace(tzinfo=dt.UTC), dt.datetime.min.replace(tzinfo=dt.UTC)),
    "c_uuid": tuple(map(uuid.UUID, ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "f" * 32, "0" * 32))),
    "c_char10": ("abc       ", "abcdefghij", " " * 10),
    "c_varchar50": ("café €", "x" * 50, ""),
    "c_varcharmax": ("v" * 20000, "V" * 100000, ""),
    "c_nchar5": ("हिन् ", "abcde", " " * 5),
    "c_nvarchar50": ("नमस्ते \U0001f600", "é" * 50, ""),
    "c_nvarcharmax": ("₹" * 12000, "न" * 60000, ""),
    "c_binary4": (b"\x01\x02\x00\xff", b"\xff" * 4, bytes(4)),
    "c_varbinary20": (b"\x00\x01\xfe", b"\xff" * 20, b""),
    "c_varbinarymax": (bytes(range(256)) * 40, b"\xab" * 100000, b""),
    "c_xml": ('<a b="1">न</a>', f"<r>{'x' * 20000}</r>", "<r/>"),
    "c_text": ("old text", "t" * 9000, ""),
    "c_ntext": ("old न", "n" * 9000, ""),
    "c_image": (b"\x89PNG", b"i" * 9000, b""),
    "c_hierarchyid": (b"\x58", b"\x5a\xc0", b""),
}  # fmt: skip


@pytest.mark.parametrize("column", ZOO)
def test_should_send_every_type_exactly(sql, column):
    values = [row[0] for row in sql(f"SELECT {column} FROM dbo.typezoo ORDER BY id")]
    assert values == [*ZOO[column], None]


def test_should_send_whole_rows_of_every_type(sql):
    rows = sql("SELECT * FROM typezoo ORDER BY id")
    assert [len(row) for row in rows] == [41] * 4
    assert [row[0] for row in rows] == [1, 2, 3, 4]


def test_should_give_row_versions_in_order(sql):
    versions = [row[0] for row in sql("SELECT c_rowversion FROM typezoo ORDER BY id")]
    assert versions == sorted(set(versions))
    assert all(len(version) == 8 for version in versions)


def test_should_show_what_a_variant_holds(sql):
    text = (
        "SELECT CAST(c_variant AS nvarchar(60)), SQL_VARIANT_PROPERTY(c_variant, 'BaseType') FROM typezoo ORDER BY id"
    )
    assert sql(text) == [("42", "int"), ("hé", "nvarchar"), ("2023-03-15 00:00:01.000", "datetime"), (None, None)]


def test_should_call_the_methods_of_spatial_and_hierarchy_columns(sql):
    text = "SELECT c_hierarchyid.ToString(), c_geography.STAsBinary(), c_geography.STSrid FROM typezoo WHERE id = 1"
    ((path, point, srid),) = sql(text)
    assert (path, srid) == ("/1/", 4326)
    assert point.hex() == "0101000000" + "48e17a14ae375240" + "52b81e85eb113340"


def test_should_give_the_same_types_and_values_to_the_arrow_reader(standin):
    wanted = {
        "c_tinyint": pa.uint8(), "c_bigint": pa.int64(), "c_dec38_20": pa.decimal128(38, 20), "c_money": pa.decimal128(19, 4),
        "c_date": pa.date32(), "c_time7": pa.time64("ns"), "c_nvarcharmax": pa.large_string(), "c_bit": pa.bool_(),
    }  # fmt: skip
    with standin.odbc() as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT {', '.join(wanted)} FROM typezoo ORDER BY id")
        table = cursor.arrow()
    assert {field.name: field.type for field in table.schema} == wanted
    for name in wanted.keys() - {"c_time7"}:
        assert table[name].to_pylist() == [*ZOO[name], None]
    assert table["c_time7"].cast(pa.int64()).to_pylist()[:2] == [45296_123456700, 86399_999999900]


ROUND_TRIPS = [
    ("bigint", -(2**63)), ("decimal(38,10)", Decimal("-1234567890123456789012345678.0123456789")), ("money", Decimal("-0.0001")),
    ("date", dt.date(1753, 1, 1)), ("datetime2(6)", LAST), ("time(6)", dt.time(23, 59, 59, 999999)), ("nvarchar(max)", "é" * 100_000),
    ("varbinary(max)", b"\x00\xff" * 70_000), ("float", -1e-300), ("bit", False), ("uniqueidentifier", uuid.UUID(int=2**127 + 5)),
    ("nvarchar(20)", "😀 ' ] \" \\"), ("varchar(20)", "naïve €"), ("xml", "<a>न</a>"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), ROUND_TRIPS, ids=[kind for kind, _ in ROUND_TRIPS])
def test_should_store_a_bound_value_and_give_it_back(standin, table, kind, value):
    name = table(f"id int PRIMARY KEY, v {kind}")
    with standin.odbc() as connection:
        connection.execute(f"INSERT INTO {name} (id, v) VALUES (?, ?), (?, NULL)", 1, value, 2)
        rows = connection.execute(f"SELECT v FROM {name} ORDER BY id").fetchall()
    assert [row[0] for row in rows] == [value, None]


def test_should_keep_all_seven_digits_in_comparisons(sql, table):
    name = table("at datetime2(7) NOT NULL PRIMARY KEY")
    sql(f"INSERT INTO {name} VALUES ('2024-01-01 00:00:00.0000001'), ('2024-01-01 00:00:00.0000002')")
    assert sql(f"SELECT COUNT(*) FROM {name} WHERE at >= '2024-01-01 00:00:00.0000002'") == [(1,)]
    assert sql(f"SELECT CONVERT(varchar(27), MAX(at), 121) FROM {name}") == [("2024-01-01 00:00:00.0000002",)]


def test_should_round_a_datetime_to_a_three_hundredth_of_a_second(sql, table):
    name = table("at datetime")
    sql(
        f"INSERT INTO {name} VALUES ('2024-01-01 00:00:00.001'), ('2024-01-01 00:00:00.002'), ('2024-01-01 00:00:00.005')"
    )
    assert [row[0].microsecond for row in sql(f"SELECT at FROM {name} ORDER BY at")] == [0, 3000, 7000]


def test_should_convert_a_variant_that_holds_bytes(sql, table):
    name = table("v sql_variant")
    sql(f"INSERT INTO {name} VALUES (CAST(0x01FF AS varbinary(4)))")
    text = f"SELECT CONVERT(nvarchar(20), v, 1), CONVERT(nvarchar(20), v, 2), CONVERT(varbinary(20), v) FROM {name}"
    assert sql(text) == [("0x01FF", "01FF", b"\x01\xff")]


def test_should_tell_the_length_of_text_and_bytes_in_a_variant(sql, table):
    name = table("id int, v sql_variant")
    values = ("CAST(0x01FF AS varbinary(4))", "CAST('abc' AS varchar(5))", "CAST(N'abc' AS nvarchar(5))", "NULL")
    for n, value in enumerate(values):
        sql(f"INSERT INTO {name} VALUES ({n}, {value})")
    assert sql(f"SELECT DATALENGTH(v) FROM {name} ORDER BY id") == [(2,), (3,), (6,), (None,)]
