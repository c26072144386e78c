"""What a silver table remembers of the batches of its source, as Delta application transactions.

Guarantees: read on the handle that the next commit is made on, and written by that commit: never ahead of the rows nor behind.
`newest`, `refresh` and `compared` are the orders of the newest batch, refresh and comparison of keys; `epoch/<epoch>` the order
of the newest batch of one state of the watermark table; `file/<place>` that of the newest batch that took the place of a file's
rows, `files` the newest of these.
The loads without a cursor form a list by order, each with its time, since the history of a batch that comes late depends on those
that followed it: `part` is 0 for one that read all keys. No mark ever expires.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from flowforge.domain.batch import SEQ_BITS, Batch
from flowforge.domain.errors import LakeChanged
from flowforge.domain.source_key import is_of_files
from flowforge.silver.plan import EPOCH, RefinePlan
from flowforge.tables.base import LakeTable
from flowforge.tables.cuts import following_cut, held_cut

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
    """What followed a batch that comes late: the first load of all keys, `at` in microseconds since 1970 (UTC), and whether it
    ends what it did not find; `reads_all` is false where there is none. `times` are those of all that followed, by order."""

    at: int
    refreshes: bool
    reads_all: bool = True
    times: tuple[tuple[int, int], ...] = ()

    @property
    def at_text(self) -> str:
        """`at` as a timestamp without zone."""
        return _text(self.at)

    @property
    def times_text(self) -> dict[int, str]:
        """`times` as timestamps without zone."""
        return {order: _text(at) for order, at in self.times}


def _text(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).replace(tzinfo=None).isoformat(sep=" ")


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
    def compared(self) -> int:
        """Order of the newest comparison of keys; 0 when there was none."""
        return self._read("compared")

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

    @property
    def superseded(self) -> frozenset[str]:
        """The keys of the batch's files of which a later batch has taken the rows' place."""
        if not self.plan.files or self._is_above or self._read("files") <= self.plan.order:
            return frozenset()
        return frozenset(key for key, place in self.plan.files.items() if self._read(f"file/{place}") > self.plan.order)

    @property
    def files_replaced_since(self) -> bool:
        """A later batch has taken the place of a file's rows, of whatever file."""
        return not self._is_above and self._read("files") > self.plan.order

    def load_after(self) -> Load | None:
        """The loads that are later than this batch; None when this batch is later than all of them."""
        order, first, times = self._around()[1], 0, []
        while order:
            times.append((order, self._read(f"load/{order}/at")))
            first = first or (0 if self._is_of_part(order) else order)
            order = self._read(f"load/{order}/next")
        if not times:
            return None
        at, refreshes = self._read(f"load/{first}/at"), bool(self._read(f"load/{first}/refreshes"))
        return Load(at, refreshes, first > 0, tuple(times))

    def _is_of_part(self, order: int) -> bool:
        """Whether a load told of some keys only. Those of a version before do not say: of files it was most often so."""
        known = self.table.transaction_version(self._name(f"load/{order}/part"))
        if known is not None:
            return bool(known)
        return is_of_files(self.plan.source_key) and not self._read(f"load/{order}/refreshes")

    def following(self) -> dict[str, int]:
        """The marks as they are when this batch is applied."""
        plan, above = self.plan, self._is_above
        marks = {"newest": max(self.newest, plan.order)}
        if plan.epoch:
            marks[f"epoch/{plan.epoch}"] = plan.order if above else max(self._read(f"epoch/{plan.epoch}"), plan.order)
        if plan.refreshes:
            marks["refresh"] = plan.order if above else max(self.last_refresh, plan.order)
        if plan.only_keys:
            marks["compared"] = plan.order
        if plan.replaces_files:
            places = ["files", *(f"file/{place}" for place in plan.files.values())]
            marks |= {place: plan.order if above else max(self._read(place), plan.order) for place in places}
        if plan.keeps_history and plan.cursor is None and not plan.only_keys:
            before, after = self._around()
            marks[f"load/{plan.order}/at"] = plan.loaded_at
            marks[f"load/{plan.order}/refreshes"] = int(plan.refreshes)
            marks[f"load/{plan.order}/part"] = int(plan.tells_part)
            marks[f"load/{plan.order}/next"] = after
            marks[f"load/{before}/next"] = plan.order
            marks["load/last"] = max(self._read("load/last"), plan.order)
        named = {self._name(mark): version for mark, version in marks.items()}
        # What is released of an earlier batch leaves the table at the moment that it has.
        return named | (following_cut(self.table, plan.cut) if plan.order >= self.newest else {})

    def _around(self) -> tuple[int, int]:
        """Orders of the loads before and after this batch; 0 where there is none."""
        order, last = self.plan.order, self._read("load/last")
        if last <= order:
            return last, 0
        before, after = 0, self._read("load/0/next")
        while after and after <= order:
            before, after = after, self._read(f"load/{after}/next")
        return before, after

    def all(self, epochs: Iterable[str] = (), places: Iterable[str] = ()) -> dict[str, int]:
        """Every mark but those of single batches, of other `epochs` and of files of other `places`, as application transactions:
        for a table that takes this one's place."""
        names = ["newest", "refresh", "compared", "load/last", *(f"epoch/{epoch}" for epoch in epochs)]
        names += ["files", *(f"file/{place}" for place in places)]
        order = 0
        while True:
            names += [f"load/{order}/{fact}" for fact in ("at", "refreshes", "part", "next")]
            order = self._read(f"load/{order}/next")
            if not order:
                break
        found = {self._name(name): self.table.transaction_version(self._name(name)) for name in names}
        held = held_cut(self.table)
        return {name: version for name, version in found.items() if version is not None} | (
            held.transactions if held else {}
        )

    def _name(self, mark: str) -> str:
        return f"flowforge/{self.plan.source_key}/{mark}"

    def _read(self, mark: str) -> int:
        return self.table.transaction_version(self._name(mark)) or 0
