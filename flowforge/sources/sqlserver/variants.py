"""How a sql_variant is read as text, by the type of each value. Pure.

Guarantees: no value is cut or changed. A plain conversion would cut seconds, cents and digits, and what is longer than 4,000
characters; a sql_variant converts to no (max) type itself, only by way of the types that it can hold. Text of up to 3,998
characters becomes Unicode by its own code page. Longer text has to become varchar(8000) first, in the database's code page: that
changes nothing where both are one, and else the row raises 245 with OTHER_PAGE in its text.
SQL_VARIANT_PROPERTY, COLLATIONPROPERTY and CASE in the T-SQL reference.
"""

OTHER_PAGE = "FlowForge: long text of another code page, collation "
_BASE = "SQL_VARIANT_PROPERTY({0}, 'BaseType')"
_COLLATION = "CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({0}, 'Collation'))"
_PAGE = f"CONVERT(int, COLLATIONPROPERTY({_COLLATION}, 'CodePage'))"
_AS_VARCHAR = "CONVERT(varchar(8000), {0})"
# Of a pair of characters the first half is never kept alone: a text that was cut may be one shorter.
_SHORT = "DATALENGTH({0}) <= 4000 OR DATALENGTH(CONVERT(nvarchar(4000), {0})) < 7998"
_SAME_PAGE = f"{_PAGE} = {_PAGE.format(_AS_VARCHAR)}"
_RAISED = f"CONVERT(nvarchar(10), CONVERT(int, N'{OTHER_PAGE}' + ISNULL({_COLLATION}, N'unknown')))"

VARIANT = " ".join((
    f"CASE WHEN {_BASE} IN ('date', 'time', 'smalldatetime', 'datetime', 'datetime2', 'datetimeoffset')",
    "THEN CONVERT(nvarchar(4000), {0}, 121)",
    f"WHEN {_BASE} IN ('money', 'smallmoney') THEN CONVERT(nvarchar(4000), CONVERT(decimal(19,4), {{0}}))",
    f"WHEN {_BASE} IN ('real', 'float') THEN CONVERT(nvarchar(4000), CONVERT(float, {{0}}), 3)",
    f"WHEN {_BASE} IN ('binary', 'varbinary') THEN CONVERT(nvarchar(max), CONVERT(varbinary(8000), {{0}}), 1)",
    f"WHEN {_BASE} IN ('char', 'varchar') THEN CASE WHEN {_SHORT} THEN CONVERT(nvarchar(4000), {{0}})",
    f"WHEN {_SAME_PAGE} THEN CONVERT(nvarchar(max), {_AS_VARCHAR}) ELSE {_RAISED} END",
    "ELSE CONVERT(nvarchar(4000), {0}) END",
))  # fmt: skip


def is_of_other_page(column_sql: str) -> str:
    """The condition that finds what `VARIANT` does not read."""
    readable = f"WHEN {_SHORT} THEN 0 WHEN {_SAME_PAGE} THEN 0 ELSE 1 END"
    return f"CASE WHEN {_BASE} IN ('char', 'varchar') THEN CASE {readable} ELSE 0 END = 1".format(column_sql)
