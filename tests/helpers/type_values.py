"""Values of SQL Server's types, typical, least and greatest, as T-SQL writes them and as they must arrive."""

import datetime as dt
import struct


def utc(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


def ns(hours, minutes, seconds, hundreds):
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + hundreds * 100


# declaration: [(T-SQL literal, canonical value)]; times of 100 ns are compared as nanoseconds
VALUES = {
    "bit": [("1", True), ("0", False)],
    "tinyint": [("200", 200), ("0", 0), ("255", 255)],
    "smallint": [("-5", -5), ("-32768", -32768), ("32767", 32767)],
    "int": [("7", 7), ("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)],
    "bigint": [("9007199254740993", 2**53 + 1), ("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)],
    "real": [("1.5", 1.5), ("-3.4E+38", -3.3999999521443642e38), ("0", 0.0)],
    "float": [("0.1", 0.1), ("-1.7E+308", -1.7e308), ("1.7E+308", 1.7e308)],
    "decimal(9,2)": [("12345.67", "12345.67"), ("-9999999.99", "-9999999.99"), ("0", "0.00")],
    "decimal(15,2)": [("12345678901.23", "12345678901.23"), ("9999999999999.99", "9999999999999.99"), ("-0.01", "-0.01")],
    "decimal(38,0)": [("12345678901234567890123456789012345678",) * 2, ("-" + "9" * 38,) * 2, ("9" * 38,) * 2],
    "numeric(38,20)": [("9" * 18 + "." + "9" * 20,) * 2, ("-0.00000000000000000001",) * 2],
    "money": [("1234.5678", "1234.5678"), ("-922337203685477.5808",) * 2, ("922337203685477.5807",) * 2],
    "smallmoney": [("12.3456", "12.3456"), ("-214748.3648",) * 2, ("214748.3647",) * 2],
    "date": [
        ("'2024-02-29'", dt.date(2024, 2, 29)), ("'0001-01-01'", dt.date.min), ("'9999-12-31'", dt.date.max),
        ("'1969-12-31'", dt.date(1969, 12, 31)),
    ],
    "time(0)": [("'12:34:56'", dt.time(12, 34, 56)), ("'00:00:00'", dt.time(0)), ("'23:59:59'", dt.time(23, 59, 59))],
    "time(3)": [("'12:34:56.789'", dt.time(12, 34, 56, 789000)), ("'23:59:59.999'", dt.time(23, 59, 59, 999000))],
    "time(7)": [
        ("'12:34:56.1234567'", ns(12, 34, 56, 1234567)), ("'00:00:00'", 0), ("'23:59:59.9999999'", ns(23, 59, 59, 9999999)),
    ],
    "smalldatetime": [
        ("'2024-02-29 12:34:00'", dt.datetime(2024, 2, 29, 12, 34)), ("'1900-01-01'", dt.datetime(1900, 1, 1)),
        ("'2079-06-06 23:59:00'", dt.datetime(2079, 6, 6, 23, 59)),
    ],
    "datetime": [
        ("'2024-02-29 12:34:56.997'", dt.datetime(2024, 2, 29, 12, 34, 56, 997000)),
        ("'1753-01-01'", dt.datetime(1753, 1, 1)), ("'9999-12-31 23:59:59.997'", dt.datetime(9999, 12, 31, 23, 59, 59, 997000)),
        ("'1955-05-05 05:05:05.003'", dt.datetime(1955, 5, 5, 5, 5, 5, 3000)),
    ],
    "datetime2(0)": [("'2024-02-29 12:34:56'", dt.datetime(2024, 2, 29, 12, 34, 56)), ("'0001-01-01'", dt.datetime.min)],
    "datetime2(3)": [("'1969-12-31 23:59:59.999'", dt.datetime(1969, 12, 31, 23, 59, 59, 999000))],
    "datetime2(7)": [
        ("'2024-02-29 12:34:56.1234567'", dt.datetime(2024, 2, 29, 12, 34, 56, 123456)),
        ("'1955-05-05 05:05:05.9999999'", dt.datetime(1955, 5, 5, 5, 5, 5, 999999)),
        ("'0001-01-01 00:00:00.0000001'", dt.datetime.min), ("'9999-12-31 23:59:59.9999999'", dt.datetime.max),
    ],
    "datetimeoffset(0)": [("'2024-02-29 12:34:56 +05:30'", utc(2024, 2, 29, 7, 4, 56))],
    "datetimeoffset(7)": [
        ("'2024-02-29 12:34:56.1234567 +05:30'", utc(2024, 2, 29, 7, 4, 56, 123456)),
        ("'2024-03-01 00:30:00 +14:00'", utc(2024, 2, 29, 10, 30)), ("'2024-02-29 23:30:00 -11:00'", utc(2024, 3, 1, 10, 30)),
        ("'0001-01-01 00:00:00 +00:00'", utc(1, 1, 1)),
        ("'9999-12-31 23:59:59.9999999 +00:00'", utc(9999, 12, 31, 23, 59, 59, 999999)),
    ],
    "uniqueidentifier": [("'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6f9619ff-8b86-d011-b42d-00c04fc964ff")],
    "char(10)": [("'abc'", "abc       "), ("''", " " * 10)],
    "varchar(50)": [("'café €'", "café €"), ("''", ""), ("' x '", " x ")],
    "varchar(max)": [("REPLICATE(CONVERT(varchar(max), 'v'), 100000)", "v" * 100000), ("''", "")],
    "nchar(5)": [("N'हि'", "हि   ")],
    "nvarchar(50)": [("N'नमस्ते 😀'", "नमस्ते 😀"), ("N''", ""), ("N'O''Brien'", "O'Brien"), ("N'tab\tline\nend'", "tab\tline\nend")],
    "nvarchar(max)": [("REPLICATE(CONVERT(nvarchar(max), N'₹'), 60000)", "₹" * 60000), ("N''", "")],
    "binary(4)": [("0x010200FF", b"\x01\x02\x00\xff"), ("0x01", b"\x01\x00\x00\x00")],
    "varbinary(20)": [("0x0001FE", b"\x00\x01\xfe"), ("0x", b"")],
    "varbinary(max)": [("CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'x'), 100000))", b"x" * 100000), ("0x", b"")],
    "xml": [("N'<a b=\"1\">न</a>'", '<a b="1">न</a>')],
    "text": [("'old text'", "old text"), ("''", "")],
    "ntext": [("N'old न'", "old न"), ("N''", "")],
    "image": [("0x89504E47", b"\x89PNG"), ("0x", b"")],
}  # fmt: skip


def point(longitude, latitude):
    """WKB: little endian, type 1 (point), then the coordinates as float64."""
    return struct.pack("<BIdd", 1, 1, longitude, latitude)


# What no driver carries: read in the form that the server gives it.
CONVERTED = {
    "sql_variant": [("CAST(42 AS sql_variant)", "42"), ("CAST(N'hé' AS sql_variant)", "hé")],
    "hierarchyid": [("'/1/2/'", "/1/2/"), ("'/'", "/")],
    "geography": [
        ("geography::Point(19.07, 72.87, 4326)", point(72.87, 19.07)), ("geography::Point(-90, -180, 4326)", point(-180, -90)),
    ],
    "geometry": [("geometry::Point(1.5, -2, 0)", point(1.5, -2))],
}  # fmt: skip
