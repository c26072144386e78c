"""Functions that DuckDB lacks for SQL Server's semantics, as DuckDB macros, and the checks that raise its errors.

`fail` arguments are the text for `error()`, with `%` for the value, or NULL to give NULL instead (TRY_CAST).
"""

# ruff: noqa: E501 - SQL text and data read best unbroken

import duckdb

_ZERO = 62_135_596_800_000_000  # microseconds from 0001-01-01 to 1970-01-01
_DAY = 864_000_000_000
_NOT_1252 = "[^\\x00-\\xff" + bytes(set(range(128, 160)) - {129, 141, 143, 144, 157}).decode("cp1252") + "]"

MACROS = f"""
raised(fail, x) AS CASE WHEN fail IS NULL THEN NULL ELSE error(replace(fail, '%', x)) END
text_to_integer(x, fail) AS CASE WHEN x IS NULL THEN NULL WHEN regexp_full_match(trim(x), '[+-]?[0-9]+') THEN CAST(trim(x) AS HUGEINT)
  WHEN trim(x) = '' THEN CAST(0 AS HUGEINT) ELSE raised(fail, x)::HUGEINT END
text_to_number(x, fail) AS CASE WHEN x IS NULL THEN NULL WHEN regexp_full_match(trim(x), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?')
  THEN trim(x) ELSE raised(fail, x) END
text_to_bit(x, fail) AS CASE WHEN x IS NULL THEN NULL WHEN lower(trim(x)) = 'true' THEN true WHEN lower(trim(x)) = 'false' THEN false
  WHEN regexp_full_match(trim(x), '[+-]?[0-9]+') THEN CAST(trim(x) AS HUGEINT) <> 0 ELSE raised(fail, x)::BOOLEAN END
text_fits(x, n, place) AS CASE WHEN length(rtrim(x)) > n THEN error('#2628#String or binary data would be truncated in ' || place
  || '. Truncated value: ''' || left(x, n) || '''.') ELSE left(x, n) END
number_fits(x, n, kind) AS CASE WHEN length(x) > n THEN error('#8115#Arithmetic overflow error converting ' || kind || ' to data type varchar.') ELSE x END
float_text(x) AS CASE WHEN abs(x) >= 1e6 OR (x <> 0 AND abs(x) < 1e-4) THEN regexp_replace(printf('%.6g', x), '([+-])([0-9]{{2}})$', '\\10\\2') ELSE printf('%g', x) END
binary_to_integer(x, width) AS list_reduce(list_prepend(CAST(0 AS HUGEINT), list_transform(range(greatest(1, octet_length(x) - width + 1), octet_length(x) + 1),
  lambda i: CAST(CAST('0x' || substr(hex(x), 2 * i - 1, 2) AS UTINYINT) AS HUGEINT))), lambda a, b: a * 256 + b)
  - CASE WHEN width > 1 AND octet_length(x) >= width AND substr(hex(x), 2 * (octet_length(x) - width) + 1, 1) >= '8'
  THEN CASE width WHEN 2 THEN CAST(65536 AS HUGEINT) WHEN 4 THEN CAST(4294967296 AS HUGEINT) ELSE CAST(18446744073709551616 AS HUGEINT) END
  ELSE 0 END
binary_padded(x, n, place) AS CASE WHEN octet_length(x) > n AND place <> '' THEN error('#2628#String or binary data would be truncated in ' || place || '.')
  ELSE unhex(rpad(left(hex(x), 2 * n), 2 * n, '0')) END
binary_cut(x, n, place) AS CASE WHEN octet_length(x) > n THEN CASE WHEN place <> '' THEN error('#2628#String or binary data would be truncated in ' || place || '.')::BLOB
  ELSE unhex(left(hex(x), 2 * n)) END ELSE x END
guid_bytes(x) AS unhex(regexp_replace(CAST(x AS VARCHAR), '(..)(..)(..)(..)-(..)(..)-(..)(..)-(....)-(............)', '\\4\\3\\2\\1\\6\\5\\8\\7\\9') || right(CAST(x AS VARCHAR), 12))
utf16_bytes(x) AS CASE WHEN x IS NULL THEN NULL WHEN x = '' THEN ''::BLOB ELSE unhex(list_aggregate(list_transform(range(1, length(x) + 1),
  lambda i: utf16_unit(unicode(x[i]))), 'string_agg', '')) END
utf16_unit(c) AS CASE WHEN c < 65536 THEN lpad(hex(c % 256), 2, '0') || lpad(hex(c // 256), 2, '0')
  ELSE error('#40517#The FlowForge stand-in does not convert characters beyond the BMP to binary.') END
ticks_timestamp(t) AS make_timestamp(CAST(t // 10 - {_ZERO} AS BIGINT))
timestamp_ticks(ts) AS (epoch_us(ts) + {_ZERO}) * 10
datetime_ticks(ts) AS (epoch_us(ts) + {_ZERO}) // 1000000 * 10000000 + (((epoch_us(ts) + {_ZERO}) % 1000000 * 3 + 5000) // 10000 * 100000 + 1) // 3
ticks_rounded(t, unit) AS CASE WHEN unit = 1 THEN t ELSE CAST((t + unit // 2) // unit * unit AS BIGINT) END
datetime_grid(d, q) AS make_timestamp(CAST(d * 86400000000 + q // 300 * 1000000 + (q % 300 * 10 + 1) // 3 * 1000 - {_ZERO} AS BIGINT))
ticks_datetime(t) AS CASE WHEN t < 552877920000000000 THEN error('#242#The conversion of a datetime2 data type to a datetime data type resulted in an out-of-range value.')
  ELSE datetime_grid(t // {_DAY}, (t % {_DAY} * 3 + 50000) // 100000) END
datetime_rounded(ts) AS ticks_datetime(timestamp_ticks(ts))
ticks_smalldatetime(t) AS make_timestamp(CAST((t + 300010000) // 600000000 * 60000000 - {_ZERO} AS BIGINT))
smalldatetime_rounded(ts) AS ticks_smalldatetime(timestamp_ticks(ts))
ticks_text(t, n, sep, brief) AS strftime(ticks_timestamp(t), '%Y-%m-%d') || sep || strftime(ticks_timestamp(t), '%H:%M:%S')
  || CASE WHEN n = 0 OR (brief AND t % 10000000 = 0) THEN '' ELSE '.' || left(lpad(CAST(t % 10000000 AS VARCHAR), 7, '0'), n) END
offset_text(o) AS CASE WHEN o < 0 THEN '-' ELSE '+' END || lpad(CAST(abs(o) // 60 AS VARCHAR), 2, '0') || ':' || lpad(CAST(abs(o) % 60 AS VARCHAR), 2, '0')
datetime_text(ts) AS strftime(ts, '%b ') || lpad(CAST(day(ts) AS VARCHAR), 2, ' ') || strftime(ts, ' %Y ') || lpad(CAST((hour(ts) + 11) % 12 + 1 AS VARCHAR), 2, ' ')
  || strftime(ts, ':%M%p')
normal_moment(x) AS regexp_replace(regexp_replace(trim(x), '^([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})', '\\1-\\2-\\3'), '\\s*(Z|[+-][0-9]{{2}}:[0-9]{{2}})$', '')
moment_ticks(y, fail, x) AS CASE WHEN x IS NULL THEN NULL
  WHEN regexp_full_match(y, '([0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}})?([ T]?[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,7}})?)?)?') AND y <> ''
  THEN coalesce(timestamp_ticks(TRY_CAST(CASE WHEN regexp_matches(y, '^[0-9]{{4}}-') THEN '' ELSE '1900-01-01 ' END
      || regexp_replace(y, '([.][0-9]{{6}})[0-9]', '\\1') AS TIMESTAMP)), raised(fail, x)::BIGINT)
    + CASE WHEN regexp_matches(y, '[.][0-9]{{7}}$') THEN CAST(right(y, 1) AS INTEGER) ELSE 0 END
  ELSE raised(fail, x)::BIGINT END
text_ticks(x, fail) AS moment_ticks(normal_moment(CASE WHEN trim(x) = '' THEN '1900-01-01' ELSE x END), fail, x)
text_offset(x) AS CAST(CASE WHEN regexp_matches(trim(x), '[+-][0-9]{{2}}:[0-9]{{2}}$') AND regexp_matches(trim(x), ':[0-9]{{2}}.*[+-][0-9]{{2}}:[0-9]{{2}}$')
  THEN (CASE WHEN right(trim(x), 6)[1] = '-' THEN -1 ELSE 1 END) * (CAST(substr(right(trim(x), 6), 2, 2) AS INTEGER) * 60 + CAST(right(trim(x), 2) AS INTEGER)) ELSE 0 END AS SMALLINT)
variant_bytes(v) AS CASE WHEN v IS NULL THEN NULL WHEN v.base IN ('binary', 'varbinary') THEN unhex(v.txt)
  ELSE error('#40517#The FlowForge stand-in converts only binary sql_variant values to binary.')::BLOB END
variant_length(v) AS CASE WHEN v.base IS NULL THEN NULL WHEN v.base IN ('char', 'varchar') THEN CASE WHEN suffix(v.sort, '_UTF8') THEN strlen(v.txt) ELSE length(v.txt) END
  WHEN v.base IN ('nchar', 'nvarchar') THEN 2 * length(v.txt) WHEN v.base IN ('binary', 'varbinary') THEN length(v.txt) // 2
  ELSE error('#40517#The FlowForge stand-in knows the length of text and bytes in a sql_variant only.')::BIGINT END
database_text(x) AS regexp_replace(x, '{_NOT_1252}', '?', 'g')
divided(a, b) AS CASE WHEN b = 0 THEN error('#8134#Divide by zero error encountered.') ELSE a / b END
int_divided(a, b) AS CASE WHEN b = 0 THEN error('#8134#Divide by zero error encountered.')::HUGEINT ELSE a // b END
remainder(a, b) AS CASE WHEN b = 0 THEN error('#8134#Divide by zero error encountered.')::HUGEINT ELSE a % b END
unscaled(x, s) AS CAST(replace(CAST(x AS VARCHAR), '.', '') AS HUGEINT)
scaled(n, s) AS CASE WHEN s = 0 THEN CAST(n AS VARCHAR) ELSE CASE WHEN n < 0 THEN '-' ELSE '' END
  || CAST(abs(n) // CAST(rpad('1', s + 1, '0') AS HUGEINT) AS VARCHAR) || '.' || lpad(CAST(abs(n) % CAST(rpad('1', s + 1, '0') AS HUGEINT) AS VARCHAR), s, '0') END
guid_order(x) AS right(CAST(x AS VARCHAR), 12) || substr(CAST(x AS VARCHAR), 20, 4) || substr(CAST(x AS VARCHAR), 17, 2) || substr(CAST(x AS VARCHAR), 15, 2)
  || substr(CAST(x AS VARCHAR), 12, 2) || substr(CAST(x AS VARCHAR), 10, 2) || substr(CAST(x AS VARCHAR), 7, 2) || substr(CAST(x AS VARCHAR), 5, 2)
  || substr(CAST(x AS VARCHAR), 3, 2) || substr(CAST(x AS VARCHAR), 1, 2)
like_pattern(x) AS CASE WHEN contains(x, '[') THEN error('#40517#The FlowForge stand-in takes [sets] in LIKE only in constants.')
  ELSE replace(replace(regexp_replace(x, '([.*+?^${{}}()|\\\\])', '\\\\\1', 'g'), '%', '.*'), '_', '.') END
hex_bytes(x, fail) AS CASE WHEN x IS NULL THEN NULL WHEN regexp_full_match(x, '([0-9A-Fa-f]{{2}})*') THEN unhex(x) ELSE raised(fail, x)::BLOB END
ticks_in_range(t, fail, x) AS CASE WHEN t < 552877920000000000 THEN raised(fail, x)::BIGINT ELSE t END
rowversion_of(n) AS unhex(lpad(hex(n), 16, '0'))
point_wkb(x, plane) AS CASE WHEN x IS NULL THEN NULL
  WHEN octet_length(x) IN (22, 30, 38) THEN unhex('0101000000' || CASE WHEN plane THEN substr(hex(x), 13, 32) ELSE substr(hex(x), 29, 16) || substr(hex(x), 13, 16) END)
  ELSE error('#40517#The FlowForge stand-in converts points only to WKB.')::BLOB END
point_wkb_zm(x, plane) AS CASE WHEN octet_length(x) IN (30, 38) THEN unhex('01' || CASE substr(hex(x), 11, 2) WHEN '0D' THEN 'E9030000' WHEN '0E' THEN 'D1070000'
  ELSE 'B90B0000' END || substr(hex(point_wkb(x, plane)), 11) || substr(hex(x), 45)) ELSE point_wkb(x, plane) END
point_srid(x) AS CAST('0x' || substr(hex(x), 7, 2) || substr(hex(x), 5, 2) || substr(hex(x), 3, 2) || substr(hex(x), 1, 2) AS INTEGER)
"""


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Defines the macros in the current schema."""
    definitions, current = [], ""
    for line in MACROS.strip().splitlines():
        if line.startswith(" "):
            current += " " + line.strip()
        else:
            definitions.append(current)
            current = line
    for definition in [*definitions, current]:
        if definition:
            connection.execute(f"CREATE OR REPLACE MACRO {definition}")
