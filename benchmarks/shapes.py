"""The tables that are read: each shape's T-SQL declaration and how its rows are made.

Rows come from a hash of the row number inside DuckDB, so that every run reads the same values and ten million take
seconds. The expressions are in the stand-in's own representation (datetime2 in units of 100 ns since year 1).
"""

from dataclasses import dataclass

TABLE = "bench"
_EPOCH_TICKS = 621_355_968_000_000_000  # 0001-01-01 to 1970-01-01, in 100 ns
_MAX_CELL_CHARACTERS = 50_000  # 100 KB on the wire


@dataclass(frozen=True)
class Shape:
    """A table: (name, type, DuckDB expression of row number i) of each column, the first its key; usual number of rows."""

    name: str
    says: str
    rows: int
    columns: tuple[tuple[str, str, str], ...]

    def declaration(self) -> str:
        """CREATE TABLE in T-SQL. Columns are nullable but for the key, as in most tables out there."""
        key, *rest = self.columns
        lines = [f"{key[0]} {key[1]} NOT NULL CONSTRAINT PK_{TABLE} PRIMARY KEY"]
        lines += [f"{name} {sql_type} NULL" for name, sql_type, _ in rest]
        return f"CREATE TABLE dbo.{TABLE} ({', '.join(lines)})"

    def query(self, rows: int) -> str:
        """The rows, as a DuckDB query."""
        return f"SELECT {', '.join(expression for *_, expression in self.columns)} FROM range(1, {rows} + 1) AS t(i)"


def _hash(salt: int, modulus: int) -> str:
    return f"CAST(hash(i * 1000 + {salt}) % {modulus} AS BIGINT)"


def _pick(salt: int, *values: str) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"list_extract([{listed}], {_hash(salt, len(values))} + 1)"


def _sometimes(expression: str, one_in: int) -> str:
    return f"CASE WHEN i % {one_in} = 0 THEN NULL ELSE {expression} END"


def _bank() -> tuple[tuple[str, str, str], ...]:
    first = _pick(1, "Aarav", "Priya", "Rahul", "Anaya", "Vihaan", "Saanvi", "Arjun", "Diya", "José", "Krishna")
    last = _pick(2, "Sharma", "Patel", "Iyer", "Reddy", "Khan", "Nair", "Gupta", "Das", "Bose", "Müller")
    cities = ("Mumbai", "Pune", "Delhi", "Chennai", "Bengaluru", "Hyderabad", "Kolkata", "Jaipur")
    updated = f"{_EPOCH_TICKS} + 15778368000000000 + 10 * {_hash(12, 180_000_000_000_000)}"
    return (
        ("customer_id", "bigint", "i"),
        ("cif_no", "nvarchar(20)", "'CIF' || lpad(CAST(i AS VARCHAR), 10, '0')"),
        ("first_name", "nvarchar(50)", first),
        ("last_name", "nvarchar(50)", last),
        ("email", "nvarchar(100)", _sometimes("'user' || i || '@example.co.in'", 11)),
        ("mobile", "nvarchar(20)", f"'+91' || (7000000000 + {_hash(3, 2_999_999_999)})"),
        ("date_of_birth", "date", f"DATE '1950-01-01' + CAST({_hash(4, 20_000)} AS INTEGER)"),
        ("gender", "nchar(1)", _pick(5, "M", "F", "O")),
        ("kyc_status", "nvarchar(20)", _pick(6, "VERIFIED", "PENDING", "REJECTED", "EXPIRED")),
        ("risk_score", "int", f"CAST(300 + {_hash(7, 600)} AS INTEGER)"),
        ("branch_id", "int", f"CAST(1 + {_hash(8, 2500)} AS INTEGER)"),
        ("credit_limit", "decimal(15,2)", f"{_hash(9, 500_000_000)} * CAST(0.01 AS DECIMAL(3,2))"),
        ("balance", "decimal(15,2)", f"({_hash(10, 900_000_000)} - 100000000) * CAST(0.01 AS DECIMAL(3,2))"),
        ("annual_income", "money", _sometimes(f"{_hash(11, 50_000_000_000)} * CAST(0.0001 AS DECIMAL(5,4))", 13)),
        ("is_active", "bit", f"{_hash(13, 5)} <> 0"),
        ("created_at", "datetime", f"TIMESTAMP '2015-01-01' + to_milliseconds({_hash(14, 30_000_000)} * 10000)"),
        ("updated_at", "datetime2(7)", _sometimes(updated, 17)),
        ("address", "nvarchar(200)", f"(1 + {_hash(15, 400)}) || ', MG Road, Sector ' || {_hash(16, 99)} || ', Near State Bank'"),
        ("city", "nvarchar(50)", _pick(17, *cities)),
        ("loan_count", "smallint", _sometimes(f"CAST({_hash(18, 9)} AS SMALLINT)", 7)),
    )  # fmt: skip


def _narrow() -> tuple[tuple[str, str, str], ...]:
    values = (_hash(salt, 2_000_000_000) for salt in (1, 2, 3))
    return (
        ("id", "int", "CAST(i AS INTEGER)"),
        *((f"n{k}", "int", f"CAST({value} AS INTEGER)") for k, value in enumerate(values)),
    )


def _wide() -> tuple[tuple[str, str, str], ...]:
    def column(k: int) -> tuple[str, str, str]:
        kinds = (
            ("int", f"CAST({_hash(k, 1_000_000)} AS INTEGER)"),
            ("decimal(15,2)", f"{_hash(k, 900_000_000)} * CAST(0.01 AS DECIMAL(3,2))"),
            ("nvarchar(20)", _pick(k, "retail", "corporate", "wealth", "dormant")),
            ("date", f"DATE '2000-01-01' + CAST({_hash(k, 9000)} AS INTEGER)"),
            ("float", f"CAST({_hash(k, 1_000_000)} AS DOUBLE) / 7"),
        )
        sql_type, expression = kinds[k % len(kinds)]
        return f"c{k:03}", sql_type, _sometimes(expression, 5 + k % 9)

    return (("id", "int", "CAST(i AS INTEGER)"), *(column(k) for k in range(1, 200)))


def _text() -> tuple[tuple[str, str, str], ...]:
    notes = [f"'Note {k}: ' || repeat(CAST({_hash(k, 10**9)} AS VARCHAR) || ' café ', 6)" for k in range(8)]
    return (("id", "bigint", "i"), *((f"note{k}", "nvarchar(400)", note) for k, note in enumerate(notes)))


def _max() -> tuple[tuple[str, str, str], ...]:
    document = f"repeat(CAST({_hash(1, 9 * 10**9)} + 1000000000 AS VARCHAR), {_MAX_CELL_CHARACTERS // 10})"
    return ("id", "int", "CAST(i AS INTEGER)"), ("document", "nvarchar(max)", document)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("bank", "20 columns: bigint key, text, decimals, money, dates and times, bit, NULLs", 1_000_000, _bank()),
        Shape("narrow", "4 int columns", 1_000_000, _narrow()),
        Shape("wide", "200 columns: int, decimal, text, date, float, NULLs", 100_000, _wide()),
        Shape("text", "a key and 8 nvarchar columns of about 100 characters", 200_000, _text()),
        Shape("max", "a key and nvarchar(max) cells of 100 KB; 500 MB at the most", 5_000, _max()),
    )
}
