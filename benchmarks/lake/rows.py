"""The table that is kept up to date, as DuckDB text: bookings of a bank, made from a hash of their number, the same in every run.

Guarantees: pure. A batch changes nine tenths of its rows and adds one tenth; its rows are in no order. What must be in a table
after a case follows from the bronze objects alone, as a count and a checksum over every column.
"""

KEY, CURSOR = "transaction_id", "modified_at"
CLUSTERED, RANDOM = "clustered", "random"
_MEANT = "hash(i * 100 + {salt} + {version} * 50)"


def _number(salt: int, modulus: int) -> str:
    return f"({_MEANT.replace('{salt}', str(salt))} % {modulus})::BIGINT"


def _pick(salt: int, *values: str) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"list_extract([{listed}], {_number(salt, len(values))} + 1)"


def _cents(salt: int, largest: int) -> str:
    return f"({_number(salt, largest)} * 0.01::DECIMAL(3,2))::DECIMAL(15,2)"


COLUMNS = {  # name -> (type, expression of row number i and version)
    KEY: ("BIGINT", "i::BIGINT"),
    "account_id": ("INTEGER", f"{_number(1, 800_000)}::INTEGER"),
    "customer": ("VARCHAR", f"'Customer ' || {_number(2, 500_000)}"),
    "amount": ("DECIMAL(15,2)", _cents(3, 9_000_000)),
    "balance_after": ("DECIMAL(15,2)", _cents(4, 900_000_000)),
    "currency": ("VARCHAR", _pick(5, "INR", "EUR", "USD", "GBP", "CHF")),
    "booked_on": ("DATE", f"DATE '2022-01-01' + {_number(6, 700)}::INTEGER"),
    "value_on": ("DATE", f"DATE '2022-01-03' + {_number(7, 700)}::INTEGER"),
    "merchant": ("VARCHAR", f"'Merchant ' || {_number(8, 5_000)}"),
    "merchant_category": ("VARCHAR", _pick(9, "grocery", "fuel", "travel", "dining", "health", "online")),
    "location": ("VARCHAR", _pick(10, "Mumbai", "Pune", "Delhi", "Chennai", "Kolkata", "Jaipur")),
    "reference": ("VARCHAR", f"'REF' || lpad({_number(11, 10**12)}::VARCHAR, 12, '0')"),
    "channel": ("VARCHAR", _pick(12, "card", "transfer", "cash", "upi")),
    "is_disputed": ("BOOLEAN", f"{_number(13, 50)} = 0"),
    "note": ("VARCHAR", f"CASE WHEN i % 3 = 0 THEN 'note ' || {_number(14, 10**9)} || ' of a booking' END"),
    CURSOR: ("TIMESTAMP", "TIMESTAMP '2024-01-01' + to_days({version}) + to_milliseconds(i)"),
}
GOLD = (
    "SELECT merchant_category, currency, booked_on, count(*) AS bookings, sum(amount) AS amount, "
    "count(DISTINCT account_id) AS accounts, max(modified_at) AS changed_at FROM {table} "
    "GROUP BY merchant_category, currency, booked_on"
)
GOLD_COLUMNS = {
    "merchant_category": "VARCHAR",
    "currency": "VARCHAR",
    "booked_on": "DATE",
    "bookings": "BIGINT",
    "amount": "DECIMAL(38,2)",
    "accounts": "BIGINT",
    "changed_at": "TIMESTAMP",
}
HISTORY_COLUMNS = {"_valid_from": "TIMESTAMP", "_valid_to": "TIMESTAMP", "_is_current": "BOOLEAN"}


def rows(numbers: str, version: int) -> str:
    """The rows of the numbers `i` that the query `numbers` gives, as of a version."""
    items = [f"{text.replace('{version}', str(version))} AS {name}" for name, (_, text) in COLUMNS.items()]
    return f"SELECT {', '.join(items)} FROM ({numbers})"


def base_numbers(first: int, last: int) -> str:
    """The keys of a part of the table, both ends included."""
    return f"SELECT i FROM range({first}, {last} + 1) AS t(i)"


def batch_numbers(table_rows: int, batch_rows: int, spread: str) -> str:
    """The keys of a batch: existing ones, the newest (clustered) or spread over all (random), and new ones."""
    new = batch_rows // 10
    changed = batch_rows - new
    apart = table_rows // changed
    existing = {
        CLUSTERED: f"SELECT i FROM range({table_rows - changed + 1}, {table_rows} + 1) AS t(i)",
        RANDOM: f"SELECT j * {apart} + 1 + (hash(j) % {apart})::BIGINT AS i FROM range({changed}) AS t(j)",
    }[spread]
    added = f"SELECT i FROM range({table_rows + 1}, {table_rows + new} + 1) AS t(i)"
    return f"SELECT i FROM ({existing} UNION ALL {added}) ORDER BY hash(i)"


def merged(base: str, batch: str) -> str:
    """What a merge must leave, from table expressions of both."""
    return f"SELECT * FROM {base} b ANTI JOIN {batch} n USING ({KEY}) UNION ALL BY NAME SELECT * FROM {batch}"


def history(base: str, batch: str) -> str:
    """What a history must hold."""
    return (
        f"SELECT b.*, b.{CURSOR} AS _valid_from, n.{CURSOR} AS _valid_to, n.{KEY} IS NULL AS _is_current "
        f"FROM {base} b LEFT JOIN {batch} n ON b.{KEY} = n.{KEY} UNION ALL BY NAME "
        f"SELECT *, {CURSOR} AS _valid_from, NULL::TIMESTAMP AS _valid_to, true AS _is_current FROM {batch}"
    )


def checksum(table: str, kind: str) -> str:
    """One row (count, checksum) of a table expression that a case of this kind left."""
    plain = {name: sql_type for name, (sql_type, _) in COLUMNS.items()}
    columns = {"scd2": plain | HISTORY_COLUMNS, "gold": GOLD_COLUMNS}.get(kind, plain)
    values = ", ".join(f"{name}::{sql_type}" for name, sql_type in columns.items())
    return f"SELECT count(*), coalesce(sum(hash({values})), 0)::VARCHAR FROM {table}"
