"""What a gold table's commits tell of how it was built: from which versions of its inputs, by which query and rules.

Guarantees: the marks are application transactions of the commit that made the rows visible, and are read on the handle that is
committed on. They decide whether a table is up to date; nothing else does.
"""

from collections.abc import Mapping

from events.quality import QualityFigure
from flowforge.domain.figures import quality_of
from flowforge.domain.names import TableName
from flowforge.tables.base import LakeTable, Moved

INPUT = "flowforge/input/"
DEFINITION = "flowforge/definition"  # application id whose version is the query's and the rules' fingerprint


def input_transactions(inputs: Mapping[TableName, LakeTable]) -> dict[str, int]:
    """The application transactions that a build of these inputs leaves: id -> version."""
    return {transaction_of(name, table): table.data_version() for name, table in inputs.items()}


def transaction_of(name: TableName, table: LakeTable) -> str:
    """The application id whose version is that of an input; a table made anew has another one."""
    return f"{INPUT}{name}/{table.table_id}"


def built_from(target: LakeTable) -> list[TableName]:
    """The inputs of a gold table's last build; none where its log was cleaned up since."""
    commit = target.commit_of(target.data_version())
    marks = [mark.removeprefix(INPUT) for mark in commit.transactions if mark.startswith(INPUT)] if commit else []
    return [TableName(*mark.rpartition("/")[0].split(".", 1)) for mark in marks]


def is_current(target: LakeTable, marks: Mapping[str, int], definition: int) -> bool:
    """Whether a gold table was built from just these inputs by just this query and these rules."""
    stored = {mark: target.transaction_version(mark) for mark in marks}
    return stored == dict(marks) and target.transaction_version(DEFINITION) == definition


def refuse_older(target: LakeTable, marks: Mapping[str, int]) -> None:
    """A stored input newer than ours: somebody published since we looked, so look again."""
    if any((target.transaction_version(mark) or 0) > version for mark, version in marks.items()):
        raise Moved


def published_quality(target: LakeTable) -> list[QualityFigure]:
    """What the rules found in the rows of the handle's version; nothing where its log was cleaned up."""
    commit = target.commit_of(target.data_version())
    return quality_of(commit.info) if commit else []
