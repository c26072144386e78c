# ruff: noqa: S608 - SQL text of quoted names and counted values
"""The quarantine table of a silver table: rows that were kept out, each with the reason and the batch.

Guarantees: what is kept out of a batch is written once, before the batch is applied, and what was written first counts: an
attempt that finds its batch here keeps out the same rows, whatever its rules say by then. Columns follow the source as silver's
do; where types do not go together the column becomes text.
"""

from arro3.core import RecordBatchReader, Table

from flowforge.aws.objects import is_any
from flowforge.domain.batch import Batch
from flowforge.domain.own_columns import CONTENT, REASON, RULES  # noqa: F401 - known from here
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.silver.decisions import SOURCE_KEY
from flowforge.silver.drift import widens
from flowforge.silver.plan import GENERATION, SEQ
from flowforge.silver.transactions import is_applied
from flowforge.tables.base import LakeTable, once
from flowforge.tables.lake import commit, open_or_create, open_table, table_uri
from flowforge.tables.rows import allow_naive_timestamps, relation, types_of

SETTLED = "_settled"  # a folder beside the quarantine tables


def keep_out(connection: Session, batch: Batch, bucket: str, rows: Rows) -> None:
    """Writes rows (with their reasons) to quarantine, unless the batch has written some before."""
    name = batch.command.silver.table
    uri = table_uri(bucket, "quarantine", name)

    def attempt() -> None:
        table = open_or_create(uri, rows, {SOURCE_KEY: batch.source_key})
        if not is_applied(table, batch):
            fitting = _aligned(connection, table, rows)
            allow_naive_timestamps(table, [str(kind) for kind in fitting.types])
            properties = once({batch.application_id: batch.application_version})
            table.append(fitting, properties, new_columns=True)

    commit(f"silver/_quarantine/{name}", attempt)


def quarantine_of(batch: Batch, bucket: str) -> LakeTable | None:
    """The quarantine table of the batch's silver table, where there is one."""
    uri = table_uri(bucket, "quarantine", batch.command.silver.table)
    is_there = is_any(bucket, f"{uri.removeprefix(f's3://{bucket}/')}/_delta_log/")  # one call; most tables have none
    return open_table(uri) if is_there else None


def kept_out(
    connection: Session, batch: Batch, table: LakeTable | None, settled: LakeTable | None = None
) -> Table | None:
    """What rules have kept out of the batch before, by its quarantine table and the verdicts of entries that left it: `content`
    (hash) and `rules`; None where there was no attempt before."""
    if table is None or not is_applied(table, batch):
        return None
    rows = relation(connection, table)
    if RULES not in rows.columns:
        return None
    found = f"SELECT {CONTENT}, {RULES} FROM ({rows.sql_query()}) WHERE {of_batch(batch)} AND {RULES} IS NOT NULL"
    if settled is not None:
        left = relation(connection, settled).sql_query()
        found += f" UNION ALL SELECT {CONTENT}, {RULES} FROM ({left}) WHERE {of_batch(batch)}"
    distinct = f"SELECT {CONTENT} AS content, any_value({RULES}) AS rules FROM ({found}) GROUP BY {CONTENT}"
    return RecordBatchReader.from_arrow(connection.sql(distinct)).read_all()


def settled_of(batch: Batch, bucket: str) -> LakeTable | None:
    """The verdicts of entries that have left quarantine, where there are any."""
    return open_table(table_uri(bucket, "quarantine", f"{SETTLED}/{batch.command.silver.table}"))


def note_settled(batch: Batch, bucket: str, verdicts: Rows) -> None:
    """Keeps the verdicts of entries that are about to leave: what a batch has kept out stays kept out when it is applied again,
    by another attempt or into a table that is made anew. `verdicts`: content, rules, generation and seq."""
    name = f"{SETTLED}/{batch.command.silver.table}"

    def attempt() -> None:
        table = open_or_create(table_uri(bucket, "quarantine", name), verdicts, {SOURCE_KEY: batch.source_key})
        table.append(verdicts, once())

    commit(f"silver/_quarantine/{name}", attempt)


def of_batch(batch: Batch) -> str:
    """The condition for a batch's rows."""
    return f"{GENERATION} = {batch.generation} AND {SEQ} = {batch.seq}"


def _aligned(connection: Session, table: LakeTable, rows: Rows) -> Rows:
    """The rows in the table's types; the table is rewritten first where its own are too narrow for them."""
    present = relation(connection, table)
    theirs = types_of(present)
    ours = types_of(rows)
    wanted = {name: _common(ours.get(name, kind), kind) for name, kind in theirs.items()}
    if wanted != theirs:
        rewritten = present.project(", ".join(_cast(name, theirs[name], wanted[name]) for name in theirs))
        mark = {"flowforge/quarantine/columns": table.version()}
        table.overwrite(rewritten, once(mark))
    return rows.project(", ".join(_cast(name, kind, wanted.get(name, kind)) for name, kind in ours.items()))


def _common(ours: str, theirs: str) -> str:
    if ours == theirs or widens(ours, theirs):
        return theirs
    return ours if widens(theirs, ours) else "VARCHAR"


def _cast(name: str, kind: str, wanted: str) -> str:
    column = identifier(name)
    return column if kind == wanted else f"CAST({column} AS {wanted}) AS {column}"
