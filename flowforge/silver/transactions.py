"""What a silver table remembers of the batches of its source, as Delta application transactions.

Guarantees: read on the handle that the next commit is made on, and written by that commit: never ahead of the rows nor behind.
`newest` and `refresh` are the orders of the newest batch and refresh; `epoch/<epoch>` the order of the newest batch of one state
of the watermark table. The full loads form a list by order, each with its time,
since the history of a batch that comes late depends on the load that followed it. No mark ever expires.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from flowforge.domain.batch import SEQ_BITS, Batch
from flowforge.domain.errors import LakeChanged
from flowforge.silver.plan import EPOCH, RefinePlan
from flowforge.tables.base import LakeTable

REMEDY = (
    "flowforge watermark rebuild --table BRONZE_TABLE --write takes up what bronze holds; then submit the request again. Where "
    "bronze has been deleted, load into a new silver table (silverConfig.tableName)."
)


def newest_mark(source_key: str) -> str:
    """The application transaction whose version is the order of the newest batch; `bronze.lake_contents` looks for it too."""
    return f"flowforge/{source_key}/newest"


def is_applied(table: LakeTable, batch: Batch) -> bool:
    """Whether the table holds the batch. Raises LakeChanged where another batch has taken its place in the order."""
    if _is_above(table, batch.source_key, batch.order):
        return False
    found = table.transaction_version(batch.application_id)
    if found is not None and found != batch.application_version:
        raise LakeChanged(f"{table.uri.rstrip('/')} holds another batch that is {batch.name} too", REMEDY)
    return found is not None


def _is_above(table: LakeTable, source_key: str, order: int) -> bool:
    """Whether the table's newest commit says that a batch of this order is above all that it holds: it is then not among them,
    and neither a refresh nor an epoch has come as far. False also where that commit does not say."""
    newest = table.in_newest_commit(newest_mark(source_key))
    return newest is not None and newest < order


@dataclass(frozen=True)
class Load:
    """A full load: `at` in microseconds since 1970 (UTC), and whether it ends what it did not find."""

    at: int
    refreshes: bool

    @property
    def at_text(self) -> str:
        """`at` as a timestamp without zone."""
        return (EPOCH + timedelta(microseconds=self.at)).replace(tzinfo=None).isoformat(sep=" ")


@dataclass(frozen=True)
class Transactions:
    """The marks of one table on one handle."""

    table: LakeTable
    plan: RefinePlan

    @property
    def last_refresh(self) -> int:
        """Order of the newest refresh; 0 when there was none."""
        return self._read("refresh")

    @property
    def newest(self) -> int:
        """Order of the newest batch that was applied; 0 when there was none."""
        return self._read("newest")

    def refuse_foreign(self) -> None:
        """Raises LakeChanged for a batch of a state that this table has never seen, below one that it holds: its rows would lose
        against older ones. What is merely late is of a state that the table knows."""
        plan = self.plan
        if plan.epoch and plan.order <= self.newest and not self._read(f"epoch/{plan.epoch}"):
            generation, seq = self.newest >> SEQ_BITS, self.newest & (1 << SEQ_BITS) - 1
            raise LakeChanged(
                f"the table holds batches of {plan.source_key} up to generation {generation}, batch {seq}; generation "
                f"{plan.generation}, batch {plan.seq} is of a watermark table that did not know them",
                REMEDY,
            )

    @property
    def overtaken(self) -> bool:
        """A refresh of a later batch has told already what this batch could tell."""
        return not self._is_above and self.last_refresh > self.plan.order

    @property
    def _is_above(self) -> bool:
        return _is_above(self.table, self.plan.source_key, self.plan.order)

    def load_after(self) -> Load | None:
        """The first full load that is later than this batch; None when this batch is later than all of them."""
        order = self._around()[1]
        return Load(self._read(f"load/{order}/at"), bool(self._read(f"load/{order}/refreshes"))) if order else None

    def following(self) -> dict[str, int]:
        """The marks as they are when this batch is applied."""
        plan, above = self.plan, self._is_above
        marks = {"newest": max(self.newest, plan.order)}
        if plan.epoch:
            marks[f"epoch/{plan.epoch}"] = plan.order if above else max(self._read(f"epoch/{plan.epoch}"), plan.order)
        if plan.refreshes:
            marks["refresh"] = plan.order if above else max(self.last_refresh, plan.order)
        if plan.keeps_history and plan.cursor is None:
            before, after = self._around()
            marks[f"load/{plan.order}/at"] = plan.loaded_at
            marks[f"load/{plan.order}/refreshes"] = int(plan.refreshes)
            marks[f"load/{plan.order}/next"] = after
            marks[f"load/{before}/next"] = plan.order
            marks["load/last"] = max(self._read("load/last"), plan.order)
        return {self._name(mark): version for mark, version in marks.items()}

    def _around(self) -> tuple[int, int]:
        """Orders of the full loads before and after this batch; 0 where there is none."""
        order, last = self.plan.order, self._read("load/last")
        if last <= order:
            return last, 0
        before, after = 0, self._read("load/0/next")
        while after and after <= order:
            before, after = after, self._read(f"load/{after}/next")
        return before, after

    def all(self, epochs: Iterable[str] = ()) -> dict[str, int]:
        """Every mark but those of single batches and of other `epochs`, as application transactions: for a table that takes this
        one's place."""
        names = ["newest", "refresh", "load/last", *(f"epoch/{epoch}" for epoch in epochs)]
        order = 0
        while True:
            names += [f"load/{order}/{fact}" for fact in ("at", "refreshes", "next")]
            order = self._read(f"load/{order}/next")
            if not order:
                break
        found = {self._name(name): self.table.transaction_version(self._name(name)) for name in names}
        return {name: version for name, version in found.items() if version is not None}

    def _name(self, mark: str) -> str:
        return f"flowforge/{self.plan.source_key}/{mark}"

    def _read(self, mark: str) -> int:
        return self.table.transaction_version(self._name(mark)) or 0
