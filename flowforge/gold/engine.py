# ruff: noqa: S608 - SQL text of quoted names; a model's own text runs as it is, on a confined connection
"""One evaluation of a gold model: the engine runs its SQL over lake tables, whole or for changed keys only.

Guarantees: a model sees its inputs under their names, reads their files and nothing else. An error about the text keeps the
engine's words and gets the line; one about a row keeps no value of it. A model that is not done after `model_seconds` is stopped,
so that it holds up neither its siblings nor the queue.

Resource management: `Engine` is a context manager; results are tables of its connection and go with it.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from events.quality import QualityFigure
from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.engines.base import EngineError, ObjectUnreadable, OutOfMemory, Rows, Session, TimedOut
from flowforge.engines.duckdb.session import S3
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.duckdb.types import stored_column
from flowforge.engines.registry import ENGINE
from flowforge.gold.models import Model
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.silver.plan import INTERNAL
from flowforge.tables.base import CHANGE, Commit, LakeTable, once
from flowforge.tables.lake import open_table
from flowforge.tables.merge_rules import REMOVED, REPLACED, Arriving, Rules
from flowforge.tables.merging import Merge, with_nulls
from flowforge.tables.rows import allow_naive_timestamps, column_types, create_view, rows_query, types_of, write_files

GONE = "_flowforge_gone"  # of changed rows only: true for a key that has no row any more
NO_KEY_TYPES = re.compile(r"FLOAT|DOUBLE|REAL|.*(\[\d*\]|\))", re.DOTALL)  # not comparable exactly, or nested
AGAIN = "it is tried again; if this persists, let the models that it waits for read less"
FASTER = "read fewer rows, join on keys, or raise the parameter ModelSeconds; the version before stays published"
DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")


def seconds_left() -> float:
    """What a model has: its own time, or what the function has left of its time."""
    limit, until = settings().model_seconds, deadline()
    return limit if until is None else min(limit, max(until - time.monotonic(), 0))


def stopped(model: Model, seconds: float) -> TransformRejected | StoreUnavailable:
    """What is told of a model that took all of these seconds, which it had from `seconds_left`."""
    limit = settings().model_seconds
    if seconds < limit:
        others = "the models before it took the rest of the function's time"
        return StoreUnavailable(f"{model.place()} was stopped after {seconds:.0f} s: {others}", AGAIN)
    return TransformRejected(f"{model.place()} was not built within {limit:g} s and was stopped", FASTER)


class Engine:
    """One evaluation of one model."""

    def __init__(self, model: Model, tables: Mapping[TableName, LakeTable], target: LakeTable | None = None):
        """`tables` are all that the model reads; `target` is the gold table, where rows of it stay."""
        self.model, self.target = model, target
        self._large_copy = (
            ""  # the query of its files: no table is made of it, which would have to fit into memory and disk
        )
        self.inputs = {name: tables[name] for name in model.inputs}
        self.references = {name: tables[name] for name in model.references}

    def __enter__(self) -> "Engine":
        self._seconds = seconds_left()
        self._until = time.monotonic() + self._seconds
        with ExitStack() as opened:
            self.connection = opened.enter_context(ENGINE.session())
            opened.enter_context(self.connection.within(self._seconds))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._opened.__exit__(kind, error, trace)
        if isinstance(error, TimedOut):
            raise stopped(self.model, self._seconds) from error

    def rows(self) -> Rows:
        """All rows of the model. Raises TransformRejected when DuckDB does not take its SQL."""
        queries = {name: rows_query(self.connection, table) for name, table in self.inputs.items()}
        if self.model.sql is None:
            (query,) = queries.values()
            self._large_copy = query if S3 in query else ""
            if not self.model.rules:
                return self._copied(self.connection, query)
        for name, query in queries.items():
            create_view(self.connection, name.layer, name.table, query)
        return self._evaluate("VIEW" if self._large_copy else "TABLE")

    def replace(self, target: LakeTable, rows: Rows, commit: Commit) -> LakeTable:
        """Commits rows in place of all that is in the target; returns the table as it is then."""
        if not self._large_copy:
            target.overwrite(rows, commit)
            return target
        with self._writer() as writer:
            copied = self._copied(writer, self._large_copy)
            types = types_of(copied)
            allow_naive_timestamps(target, types.values())
            target.replace_files(write_files(writer, target, copied.sql_query(), types), copied.limit(0), commit)
        return given(open_table(target.uri))

    def merge(self, target: LakeTable, rows: Rows, commit: Commit) -> None:
        """Commits rows of `changed_rows` in place of those of their keys; the target's handle stays as it is."""
        with self._writer() as writer:
            writer.register("changed", rows)
            # Read once: a second reading would be another statement of the connection that the first one comes from.
            writer.execute("CREATE TEMP TABLE arriving AS SELECT * FROM changed")
            arriving = Arriving("arriving", is_held=True)
            identity = with_nulls(writer, arriving, dict.fromkeys(self.model.key, True))
            rules = Rules(f"CASE WHEN s.{GONE} THEN '{REMOVED}' ELSE '{REPLACED}' END", arrives=f"NOT s.{GONE}")
            merge = Merge(writer, target, arriving, identity, rules)
            added = merge.count_added()
            change = {"inserted": added, "updated": merge.count(REPLACED), "deleted": merge.count(REMOVED)}
            merge.commit(added, once(commit.transactions, {**commit.info, CHANGE: json.dumps(change)}))

    @contextmanager
    def _writer(self) -> Iterator[Session]:
        """A session of its own that writes: the model's is confined where somebody else's SQL runs. Whichever of both is stopped
        first, the time was over."""
        with ENGINE.session() as writer, writer.within(max(self._until - time.monotonic(), 0)):
            try:
                yield writer
            except (OutOfMemory, ObjectUnreadable, TimedOut):
                raise
            except EngineError as error:
                if time.monotonic() < self._until:
                    raise
                raise TimedOut(str(error)) from error

    def changed_rows(
        self, driving: TableName, key: Mapping[str, str], columns: frozenset[str] | None, before: LakeTable
    ) -> Rows:
        """The rows of all keys of which a row changed in `driving` since its version `before`, and a row with GONE for each
        key that the model has no row of any more; `key` maps the model's columns to the table's."""
        now = self.inputs[driving]
        types = column_types(self.connection, now)
        key = {name: _find(source, types, self.model) for name, source in key.items()}
        for name, source in key.items():
            if NO_KEY_TYPES.fullmatch(types[source]) and not DECIMAL.fullmatch(types[source]):
                raise TransformRejected(
                    f"{self.model.place()}: key column {name} is a {types[source]}", "use buildStrategy full"
                )
        self._note_affected_keys(now, before, list(key.values()), columns, types)
        for name, table in self.inputs.items():
            query = rows_query(self.connection, table)
            if name == driving:
                same = " AND ".join(
                    f"{identifier(c, 't')} IS NOT DISTINCT FROM {identifier(c, 'a')}" for c in key.values()
                )
                query = f"SELECT t.* FROM ({query}) AS t SEMI JOIN main.affected AS a ON {same}"
            create_view(self.connection, name.layer, name.table, query)
        return self._with_gone(self._evaluate(), key)

    def text_of_copy(self) -> str:
        """The SELECT that a published copy of its only input stands for: all columns but silver's own."""
        ((name, table),) = self.inputs.items()
        columns = [column for column in column_types(self.connection, table) if column not in INTERNAL]
        items = ", ".join(identifier(column) for column in columns)
        return f"SELECT {items} FROM {identifier(name.layer)}.{identifier(name.table)}"

    def check_key(self, rows: Rows) -> None:
        """Raises TransformRejected when the key of an incremental model does not tell its rows apart."""
        model = self.model
        if model.strategy != "incremental":
            return
        missing = [name for name in model.key if name not in rows.columns]
        if missing:
            raise TransformRejected(
                f"{model.place()}: key column {', '.join(missing)} is not among its columns",
                f"name columns of its SELECT in primaryKey: {', '.join(rows.columns)}",
            )
        names = ", ".join(identifier(name) for name in model.key)
        if rows.aggregate(f"{names}, count(*) AS _flowforge_n", names).filter("_flowforge_n > 1").limit(1).fetchall():
            raise TransformRejected(
                f"{model.place()}: several rows have the same {', '.join(model.key)}",
                "name all columns in primaryKey that tell its rows apart, or use buildStrategy full",
            )

    def with_those_that_stay(self, rows: Rows) -> Rows:
        """The target's rows as they will be once `rows` (of `changed_rows`) have replaced those of their keys."""
        same = " AND ".join(
            f"{identifier(name, 't')} IS NOT DISTINCT FROM {identifier(name, 'r')}" for name in self.model.key
        )
        present = rows_query(self.connection, given(self.target))
        return self.connection.sql(
            f"SELECT t.* FROM ({present}) AS t ANTI JOIN ({rows.sql_query()}) AS r ON {same} "
            f"UNION ALL BY NAME SELECT * EXCLUDE ({GONE}) FROM ({rows.sql_query()}) WHERE NOT {GONE}"
        )

    def judge(self, rows: Rows) -> list[QualityFigure]:
        """What the model's rules find in `rows`: all of the table's.

        Raises RulesBroken when one of severity `fail` is, TransformRejected when one cannot be evaluated.
        """
        if not self.model.rules:
            return []
        from flowforge.gold.model_rules import judge_table  # sqlglot: for rules only

        return judge_table(self.connection, self.model, self.references, rows)

    def _note_affected_keys(
        self, now: LakeTable, before: LakeTable, key: list[str], columns: frozenset[str] | None, types: dict[str, str]
    ) -> None:
        """The keys of all rows in which the two versions differ, read from the files in which they differ."""
        new, old = set(now.file_uris()), set(before.file_uris())
        kept = [name for name in types if columns is None or name.lower() in columns or name in key]
        items = ", ".join(identifier(name) for name in kept)
        added, removed = (
            f"SELECT {items} FROM ({rows_query(self.connection, now, sorted(files))})"
            for files in (new - old, old - new)
        )
        keys = ", ".join(identifier(name) for name in key)
        self.connection.execute(
            f"CREATE TABLE main.affected AS SELECT DISTINCT {keys} FROM (({added} EXCEPT ALL {removed}) UNION ALL "
            f"({removed} EXCEPT ALL {added}))"
        )

    def _with_gone(self, rows: Rows, key: Mapping[str, str]) -> Rows:
        same = " AND ".join(
            f"{identifier(name, 'r')} IS NOT DISTINCT FROM {identifier(source, 'a')}" for name, source in key.items()
        )
        gone = ", ".join(f"{identifier(source, 'a')} AS {identifier(name)}" for name, source in key.items())
        return self.connection.sql(
            f"SELECT *, false AS {GONE} FROM ({rows.sql_query()}) UNION ALL BY NAME "
            f"SELECT {gone}, true AS {GONE} FROM main.affected AS a ANTI JOIN ({rows.sql_query()}) AS r ON {same}"
        )

    def _copied(self, session: Session, query: str) -> Rows:
        """What a published copy of its only input, whose rows the query has, stands for: all columns but silver's own."""
        ((_, table),) = self.inputs.items()
        types = column_types(session, table)
        items = ", ".join(stored_column(name, kind) for name, kind in types.items() if name not in INTERNAL)
        return session.sql(f"SELECT {items} FROM ({query})")

    def _evaluate(self, form: Literal["TABLE", "VIEW"] = "TABLE") -> Rows:
        # A copy without rules runs no text but ours, of quoted names.
        if self.model.sql is not None or self.model.rules:
            tables = [*self.inputs.values(), *self.references.values(), *([self.target] if self.target else [])]
            self.connection.confine([uri for table in tables for uri in table.file_uris()])
        text = self.model.sql if self.model.sql is not None else self.text_of_copy()
        if self.model.sql is not None:
            self._read_again(text)
        try:
            self.connection.execute(f"CREATE {form} main.result AS {text.strip().rstrip(';')}")
        except (ObjectUnreadable, OutOfMemory, TimedOut):
            raise
        except EngineError as error:
            raise refusal(self.model, error) from error
        rows = self.connection.sql("SELECT * FROM main.result")
        return rows.project(", ".join(stored_column(n, str(t)) for n, t in zip(rows.columns, rows.types, strict=True)))

    def _read_again(self, text: str) -> None:
        from flowforge.sql_policy.parsing import NotAllowed  # sqlglot: for models only

        try:
            self.connection.check_query(text, [(name.layer, name.table) for name in self.inputs])
        except NotAllowed as error:
            raise TransformRejected(
                f"{self.model.place()}: {error}",
                error.remedy or "a model is one SELECT over silver.<table> and gold.<table>",
            ) from error


def refusal(model: Model, error: EngineError) -> TransformRejected:
    """What a user is told of DuckDB's refusal of a model: its place and line, and the reason without a row's values."""
    line, text = error.line, model.sql or ""
    if line is not None:
        line += text[: len(text) - len(text.lstrip())].count("\n")
    return TransformRejected(f"{model.place(line)}: {error.reason}")


def _find(column: str, types: Mapping[str, str], model: Model) -> str:
    for name in types:
        if name.lower() == column.lower():
            return name
    raise TransformRejected(
        f"{model.place()}: key column {column} is not among the columns of its driving table",
        f"name columns of it in primaryKey: {', '.join(types)}",
    )
