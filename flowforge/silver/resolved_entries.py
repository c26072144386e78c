# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Takes out of quarantine what a batch has settled: for each key the newest word counts, whether it is in silver or was kept out.

Guarantees: runs once the batch is in silver, so no row is ever in neither; a worker that dies in between leaves entries that
the batch's next delivery, or the key's next batch, takes out. An entry goes when a later batch has told of its key, or a later
refresh of the whole table, in whatever order they come; a batch of an older file that came late is the earlier one. Entries of
a batch that silver does not hold yet stay: its next attempt keeps out the same rows. A row without a key is known by its
content, and so are those of a table without one. An entry of a history is a state that it lacks: it stays, once, until it is
released. Where a table only adds rows, each entry is a row of its own. Where new content takes the place of a file's rows, it
takes that of the file's entries, too. The verdict of an entry that leaves is kept, since its batch may be applied again
(`quarantine.note_settled`).
"""

from collections.abc import Iterable, Iterator, Sequence

from flowforge.domain.batch import SEQ_BITS, Batch
from flowforge.domain.own_columns import SOURCE_FILE
from flowforge.engines.base import Session
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.silver.late_batches import late_batches
from flowforge.silver.matching import missing_key, with_forms
from flowforge.silver.plan import GENERATION, SEQ, RefinePlan
from flowforge.silver.quarantine import CONTENT, REASON, RULES, note_settled
from flowforge.silver.staging import NULL_KEY, content_hash, stored_rows
from flowforge.silver.transactions import Transactions
from flowforge.tables.base import LakeTable, once
from flowforge.tables.lake import commit, open_table, table_uri
from flowforge.tables.merge_rules import REMOVED, Arriving, Rules
from flowforge.tables.merging import Merge
from flowforge.tables.rows import relation, types_of

ENTRY, ORDER, DOOMED = "_flowforge_entry", "_flowforge_order", "settled_entries"


def settle(connection: Session, batch: Batch, plan: RefinePlan, bucket: str, objects: str) -> int:
    """Takes out what the batch has settled, and what of the batch itself has been settled by a later one; returns how many
    entries. `objects` is the table expression of the batch's bronze objects; nothing is read of them where there is no
    quarantine."""
    name = batch.command.silver.table

    def attempt() -> int:
        table = open_table(table_uri(bucket, "quarantine", name))
        silver = open_table(table_uri(bucket, "silver", name))
        if table is None or silver is None or not table.count():
            return 0
        if plan.adds_only and not (plan.replaces_files or Transactions(silver, plan).superseded):
            return 0
        return Settling(connection, batch, plan, table, silver, objects, bucket).commit()

    return commit(f"silver/_quarantine/{name}", attempt)


class Settling:
    """One attempt, on the version of the quarantine table that it looks at."""

    def __init__(
        self,
        connection: Session,
        batch: Batch,
        plan: RefinePlan,
        table: LakeTable,
        silver: LakeTable,
        objects: str,
        bucket: str,
    ):
        self._bucket = bucket
        self._connection, self._batch, self._plan = connection, batch, plan
        self._table, self._silver, self._objects = table, silver, objects
        rows = relation(connection, table)
        self._types = types_of(rows)
        order = f"({GENERATION}::BIGINT << {SEQ_BITS} | {SEQ})"
        entries = f"SELECT *, {order} AS {ORDER}, {self._entry()} AS {ENTRY} FROM ({rows.sql_query()})"
        connection.sql(with_forms(plan, entries, self._types)).create_view("entries", replace=True)

    def commit(self) -> int:
        """Takes the settled entries out in one commit; returns how many they were."""
        conditions = list(self._settled())
        if not conditions:
            return 0
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {DOOMED} AS SELECT DISTINCT {GENERATION}, {SEQ}, {ENTRY} FROM entries e "
            f"WHERE {' OR '.join(f'({condition})' for condition in conditions)}"
        )
        identity: dict[str, bool] = dict.fromkeys((GENERATION, SEQ, ENTRY), False)
        rules = Rules(f"'{REMOVED}'", arrives="false")
        merge = Merge(
            self._connection, self._table, Arriving(DOOMED, True), identity, rules, forms={ENTRY: self._entry()}
        )
        removed = merge.count(REMOVED)
        if removed:
            if {CONTENT, RULES} <= self._types.keys():
                going = f"SELECT e.* FROM entries e SEMI JOIN {DOOMED} d USING ({GENERATION}, {SEQ}, {ENTRY})"
                verdicts = (
                    f"SELECT DISTINCT {CONTENT}, {RULES}, {GENERATION}, {SEQ} FROM ({going}) WHERE {RULES} IS NOT NULL"
                )
                if self._connection.sql(f"{verdicts} LIMIT 1").fetchone():
                    note_settled(self._batch, self._bucket, self._connection.sql(verdicts))
            merge.commit(0, once())
        return removed

    def _entry(self) -> str:
        """What tells an entry of a batch apart: all that it says."""
        return f"md5(concat_ws('|', {', '.join(f'coalesce({self._text(name)}, chr(0))' for name in self._types)}))"

    @staticmethod
    def _text(name: str, alias: str | None = None) -> str:
        return f"CAST({identifier(name, alias)} AS VARCHAR)"

    def _settled(self) -> Iterator[str]:
        """Conditions for entries `e` that count no more."""
        plan = self._plan
        if held := self._held():
            before = f"e.{ORDER} < {plan.order} AND e.{ORDER} IN ({', '.join(map(str, held))})"
            if plan.replaces_files:
                yield from self._of_files(before, plan.files)
            everything = plan.refreshes and not plan.keeps_history
            if not plan.adds_only:
                yield f"{before} AND ({'true' if everything else self._told_again()})"
        marks = Transactions(self._silver, plan)
        own = f"e.{ORDER} = {plan.order}"
        yield from self._of_files(own, marks.superseded)
        if plan.adds_only:
            return
        if marks.newest <= plan.order and not plan.below:
            return
        if not self._connection.execute(f"SELECT 1 FROM entries e WHERE {own} LIMIT 1").fetchone():
            return
        if marks.last_refresh > plan.order and not plan.keeps_history:
            yield own
        yield f"{own} AND ({self._told_later(late_batches(self._batch) if marks.newest > plan.order else ())})"

    def _of_files(self, which: str, keys: Iterable[str]) -> Iterator[str]:
        """Entries of files whose rows have gone as a whole; a history keeps the states that it lacks."""
        shown = ", ".join(map(literal, keys))
        if shown and SOURCE_FILE in self._types and not self._plan.keeps_history:
            yield f"{which} AND e.{SOURCE_FILE} IN ({shown})"

    def _held(self) -> list[int]:
        """The orders of earlier batches with entries that silver holds."""
        plan = self._plan
        found = self._connection.execute(
            f"SELECT DISTINCT {GENERATION}, {SEQ}, {ORDER} FROM entries WHERE {ORDER} < {plan.order}"
        ).fetchall()
        same = self._batch.model_copy
        return [
            order
            for generation, seq, order in found
            if not plan.is_below(generation, seq)
            and self._silver.transaction_version(same(update={"generation": generation, "seq": seq}).application_id)
        ]

    def _told_again(self) -> str:
        """The batch tells of the entry's key, or of the same content where that is what an entry is known by."""
        plan = self._plan
        rows = stored_rows(plan, self._objects)
        contents = f"SELECT {content_hash(plan)} FROM ({rows})"
        if self._by_content:
            return self._of_content(contents)
        keyed = f"SELECT * FROM ({rows}) WHERE NOT ({missing_key(plan)})"
        lacking = f"e.{REASON} = {literal(NULL_KEY)} AND {self._of_content(f'{contents} WHERE {missing_key(plan)}')}"
        return f"{self._among(with_forms(plan, keyed, plan.columns))} OR ({lacking})"

    def _told_later(self, late: Sequence[int]) -> str:
        """A later batch tells of the entry's key: silver has its row, or quarantine. `late` are batches that count as earlier."""
        plan, is_later = self._plan, self._is_later(late)
        later = f"FROM entries WHERE {is_later}"
        if self._by_content:
            return self._of_content(f"SELECT {CONTENT} {later}") if CONTENT in self._types else "false"
        rows = relation(self._connection, self._silver)
        kinds = types_of(rows)
        newer = f"SELECT * FROM ({rows.sql_query()}) WHERE {is_later}"
        return f"{self._among(with_forms(plan, newer, kinds))} OR {self._among(f'SELECT * {later}')}"

    def _is_later(self, late: Sequence[int]) -> str:
        plan, found = self._plan, f"({GENERATION}, {SEQ}) > ({self._plan.generation}, {self._plan.seq})"
        same = f"{GENERATION} = {plan.generation} AND {SEQ}"
        if late:
            found += f" AND NOT ({same} IN ({', '.join(map(str, late))}))"
        before = "".join(f" OR ({same} BETWEEN {first} AND {last})" for first, last in plan.below)
        return f"({found}{before})"

    @property
    def _by_content(self) -> bool:
        return self._plan.keyless or self._plan.keeps_history

    def _of_content(self, contents: str) -> str:
        return f"e.{CONTENT} IN ({contents})" if CONTENT in self._types else "false"

    def _among(self, rows: str) -> str:
        """Whether the entry's key is among rows, which have forms. As text: quarantine's types may be wider."""
        plan = self._plan
        compared = plan.matches
        if plan.strategy == "append" and plan.cursor is not None and plan.cursor not in plan.key:
            compared = compared | {plan.cursor: plan.cursor}  # of such a table each state of a key counts
        if not compared.keys() <= self._types.keys():
            return "false"
        same = [f"{self._text(name, 'r')} IS NOT DISTINCT FROM {self._text(name, 'e')}" for name in compared.values()]
        return f"EXISTS (SELECT 1 FROM ({rows}) r WHERE {' AND '.join(same)})"
