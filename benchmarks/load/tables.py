"""What the load consists of: tables of mixed sizes at the stand-in, and jobs of files.

Each row has `n`, the number of the change of its table that wrote it; 0 are the rows of before. Changes of a table come one after
the other, so whoever sees the n-th has seen all before it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from events.envelopes import s3_object_created
from flowforge.operations.query import query
from tests.faults.tally import Figures
from tests.faults.world import World

LARGE_ROWS = 2_000_000
SIZES = ((100, 0), (20, 20_000), (5, 1_000))  # one table in 100 is a large one, one in 20 has so many rows, …
SMALL_ROWS = 50
FILES_ONE_IN = 10
ROWS_OF_A_FILE = 20
ROWS_AT_ONCE = 200_000  # that are compared
COLUMNS = "id, n, amount, note"
DECLARED = (
    "(id bigint PRIMARY KEY, n bigint NOT NULL, amount decimal(12,2), note varchar(40),"
    " modified datetime2(7) NOT NULL DEFAULT SYSUTCDATETIME())"
)
SEED = "load_seed"
A_MINUTE_AGO = "DATEADD(minute, -1, SYSUTCDATETIME())"  # the first load has them, and not the next one
FILE_COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "n", "type": "bigint"}, {"name": "note"}]
JOB = "daily"  # as World.submit_files names it

FileRow = tuple[int, int, str]


class Table(NamedTuple):
    """A table of the source, or a job of files, which begins with no row."""

    name: str
    rows: int
    files: bool = False

    @property
    def bronze(self) -> str:
        return f"bronze_{self.name}"


def mix(tables: int, large_rows: int = LARGE_ROWS) -> list[Table]:
    """So many of mixed sizes: a tenth are jobs of files, at least one; of the others at least one is large."""
    files = max(1, tables // FILES_ONE_IN)
    found = [Table(f"files_{n:03d}", 0, files=True) for n in range(files)]
    for n in range(tables - files):
        rows = next((rows or large_rows for every, rows in SIZES if n % every == 0), SMALL_ROWS)
        found.append(Table(f"load_{n:03d}", rows))
    return found


def create(world: World, tables: Sequence[Table]) -> None:
    """The tables at the source, with their first rows."""
    most, rows = max(table.rows for table in tables), 1
    world.execute(
        f"CREATE TABLE {SEED} (id bigint PRIMARY KEY, amount decimal(12,2), note varchar(40))",
        f"INSERT INTO {SEED} VALUES (1, 10.25, 'row 1')",
    )
    while rows < most:
        world.execute(
            f"INSERT INTO {SEED} SELECT id + {rows}, amount + {rows % 97}, CONCAT('row ', id + {rows}) FROM {SEED}"
            f" WHERE id + {rows} <= {most}"
        )
        rows *= 2
    for table in tables:
        if not table.files:
            world.execute(
                f"CREATE TABLE {table.name} {DECLARED}",
                f"INSERT INTO {table.name} (id, n, amount, note, modified)"
                f" SELECT id, 0, amount, note, {A_MINUTE_AGO} FROM {SEED} WHERE id <= {table.rows}",
            )


def file_rows(n: int) -> list[FileRow]:
    """The rows of a job's n-th file."""
    return [(n * 1_000 + i, n, f"é {n} {i}") for i in range(ROWS_OF_A_FILE)]


def put_file(s3: Any, bucket: str, table: str, n: int) -> dict[str, Any]:
    """Puts a job's n-th file; returns S3's notice of it."""
    key = f"{folder(table)}{n:06d}.csv"
    text = "".join(f"{id},{number},{note}\n" for id, number, note in file_rows(n))
    body = f"id,n,note\n{text}".encode()
    answer = s3.put_object(Bucket=bucket, Key=key, Body=body)
    notice = s3_object_created(bucket, key, len(body))
    notice["detail"]["object"] |= {"etag": answer["ETag"].strip('"'), "sequencer": f"{n:018X}"}
    return notice


def folder(table: str) -> str:
    """Where the files of a job are."""
    return f"landing/{table}/{JOB}/"


def submit_files(world: World, table: Table) -> str:
    """Asks for a job of files; returns its run."""
    config = {"filePattern": f"{folder(table.name)}*.csv", "columns": FILE_COLUMNS}
    return world.submit_files(table.name, table.bronze, config)


def submit_tables(world: World, tables: Sequence[Table]) -> str:
    """Asks for a load of all tables of the source at once; returns its run."""
    names = [{"tableName": t.name, "isIncremental": True, "deltaColumn": "modified"} for t in tables if not t.files]
    return world.submit({"tables": names})


def compare(world: World, tables: Sequence[Table], written: Mapping[str, Sequence[int]]) -> Figures:
    """Every row of the source and of all files that were written, against silver and gold."""
    found = Figures()
    for table in tables:
        if table.files:
            wanted = Counter(row for n in written.get(table.name, ()) for row in file_rows(n))
            found.add(rows_checked=2 * wanted.total())
            for layer in ("silver", "gold"):
                there = Counter(query(f"SELECT id, n, note FROM {layer}.{table.name}", world.bucket).rows)
                found.add(lost=(wanted - there).total(), doubled=(there - wanted).total())
            continue
        ((last,),) = world.ask(f"SELECT MAX(id) FROM {table.name}")
        for low in range(0, last + 1, ROWS_AT_ONCE):
            some = f"{table.name} WHERE id > {low} AND id <= {low + ROWS_AT_ONCE}"
            checked, lost, doubled = world.compare(some, some, COLUMNS)
            found.add(rows_checked=checked, lost=lost, doubled=doubled)
    return found
