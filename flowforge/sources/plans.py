"""The values that cross when a load plans: what is wanted, what the load before has left, what there is, what is read."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import Counting, SlicePlan
from flowforge.domain.source_columns import SourceColumn


class Position(NamedTuple):
    """How far a table is loaded: `value` of `cursor`, as text that only the source reads. `type` is what the source called the
    cursor's type then; None where a person has written the value."""

    cursor: str
    value: str
    type: str | None = None


@dataclass(frozen=True)
class LastRead:
    """What the load before has left for one cursor. `identity` is what the source said of itself, `digest` that of rows which
    may come again, `memory` what the source wants to see again; the last three are read by the source only.

    What stands under no cursor ("") has `files`: it tells the newest version of each file that the table has taken, by bucket and
    key, or where it is given files, of those with their names, and one of each of their contents; `applied`: every version with
    its batch's sequence number; and `refused`: those that were refused as they are read now. They are asked by a source of files
    alone. `was_reset`: the table holds what these do not tell of.
    """

    position: Position | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    memory: list[dict[str, Any]] = field(default_factory=list)
    files: Callable[[Collection[FileVersion] | None], Mapping[tuple[str, str], FileVersion]] = lambda listed: {}
    applied: Callable[[], Sequence[tuple[FileVersion, int]]] = list
    refused: Callable[[], Mapping[tuple[str, str], FileVersion]] = dict
    was_reset: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a load asks of a source: `read` is the source's own part of the command, the rest is what the layers do with it.

    `key` are the columns by which the request tells rows apart (none: the source's own). `adds_only`: no row replaces another.
    `removes_rows`: what is not read is taken out of silver;
    `keeps_history`: silver has every state of a row. `follows_changes`: what is read are changes, which count in their order.
    `bronze_table` is the name that commands know the table by. `only_keys`: of all rows the key alone, whatever conditions the
    request has on them; `removes_rows` is then so, too. `only_shown`: nothing will be read, so nothing is found out that would
    take reading.
    """

    read: Any
    bronze_table: str = ""
    key: tuple[str, ...] = ()
    adds_only: bool = False
    removes_rows: bool = False
    keeps_history: bool = False
    follows_changes: bool = False
    audited: bool = True
    only_keys: bool = False
    only_shown: bool = False


@dataclass(frozen=True)
class Description:
    """What a source says now of the table, query or files that are wanted.

    `name` is the source's own, for people; `parts`, schema and table in its spelling (no schema: a query), are part of the source
    key. `written` are the two by which default names go (None: they do not). `primary_key` is the source's. `identity` tells
    this source from a restored or recreated one, `notes` what this login does not see, `lacks` what the source lacks and what
    holds instead. `detail` is opaque to all but the source.
    """

    wanted: Wanted
    name: str
    columns: list[SourceColumn]
    primary_key: list[str] = field(default_factory=list)
    parts: tuple[str, str] = ("", "")
    written: tuple[str, str] | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    detail: Any = None


class Nothing(NamedTuple):
    """Why a plan has nothing to read: `reason` and `notes` for the run. With `wait_seconds` the load is to come again after so
    long, because of `wait_reason`. `news`: the plan's memory is to be kept though nothing was read. `moves`: the position moves
    to the interval's end all the same."""

    reason: str
    notes: list[str]
    wait_seconds: int | None = None
    wait_reason: str = ""
    news: bool = False
    moves: bool = False


class LoadedTable(NamedTuple):
    """A table that was loaded before and is wanted again, for a question about many of them: its schema and name as the catalog
    spells them, the source's own part of the command (`read`), the columns by which the request tells rows apart (none: the
    source's own), and what the load before has left for the cursor by which it is read."""

    name: tuple[str, str]
    read: Any
    key: tuple[str, ...]
    last: LastRead


class StandsStill(NamedTuple):
    """Tables in which nothing has changed since their positions: by the place at which each was asked for, why and what holds of
    it (promise). Those of its cursor may stand at `position` now (None: every table stays where it is); the source keeps changes
    for `kept_seconds` (None: for ever). `unasked` says how many tables could not be asked, and why."""

    tables: Mapping[int, tuple[str, str]]
    position: Position | None = None
    kept_seconds: int | None = None
    unasked: str = ""


@dataclass(frozen=True)
class ReadPlan:
    """What a load reads: `interval`, from the position of the load before (`low`) to the one after (`high`).

    `splits` None: it is read at once. `identity` and `memory` are kept with the batch for the next plan. `counting` says when the
    source counts the rows on its own. `nothing` is set where there is nothing to read.
    """

    interval: Interval
    columns: list[SourceColumn]
    splits: SlicePlan | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)
    counting: Counting = field(default_factory=Counting)
    nothing: Nothing | None = None
    detail: Any = None


class Estimate(NamedTuple):
    """How much a plan would read, for people: `rows` and `bytes` as far as they are known, `counted` or as the catalog says, and
    what should be known of the source before it is loaded; of files all that the request means, as they are listed, and in how
    many slices they would be read, about."""

    rows: int | None = None
    counted: bool = False
    bytes: int | None = None
    warnings: Sequence[str] = ()
    files: Sequence[FileVersion] = ()
    slices: int | None = None
