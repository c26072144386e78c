"""The incremental build of a gold table: the rows of those keys of which a row changed in the driving table.

Guarantees: leaves exactly the rows that a full build would, or does nothing and says that a full one is needed: where another
table of the query changed too, the old version was vacuumed, or the columns differ. The rules are judged over all rows that the
table will have, those that stay among them, before any becomes visible.
"""

from collections.abc import Mapping

from events.quality import QualityFigure
from flowforge.domain.figures import to_metadata
from flowforge.domain.names import TableName
from flowforge.engines.base import ObjectUnreadable
from flowforge.gold.engine import GONE, Engine
from flowforge.gold.models import Model
from flowforge.gold.transactions import input_transactions, is_current, transaction_of
from flowforge.tables.base import LakeTable, VersionGone, once
from flowforge.tables.rows import column_types


def build_changes(
    model: Model, tables: Mapping[TableName, LakeTable], target: LakeTable, transactions: Mapping[str, int]
) -> list[QualityFigure] | None:
    """Replaces the rows of the changed keys and returns what the rules found; None when only a full build will do.

    Raises TransformRejected and RulesBroken.
    """
    with Engine(model, tables, target) as engine:
        driving, key, columns = _driving(engine, model)
        before = _version_before(model, tables, target, driving)
        if before is None:
            return None
        try:
            rows = engine.changed_rows(driving, key, columns, before)
        except ObjectUnreadable:
            return None  # files of the old version were vacuumed; were it S3 itself, the full build fails as well
        stored = {name: kind for name, kind in zip(rows.columns, map(str, rows.types), strict=True) if name != GONE}
        if stored != column_types(engine.connection, target):
            return None
        engine.check_key(rows)
        quality = engine.judge(engine.with_those_that_stay(rows)) if model.rules else []
        engine.merge(target, rows, once(transactions, to_metadata(quality) if model.rules else None))
    return quality


def _driving(engine: Engine, model: Model) -> tuple[TableName, dict[str, str], frozenset[str] | None]:
    if model.sql is None:
        return next(iter(model.inputs)), {name: name for name in model.key}, None
    from flowforge.gold.incremental import driving_table

    found = driving_table(model.sql, model.key)
    return found.table, found.key, found.columns


def _version_before(
    model: Model, tables: Mapping[TableName, LakeTable], target: LakeTable, driving: TableName
) -> LakeTable | None:
    """The driving table as the gold table was built from, if no other table of the query changed since: what only rules refer to
    makes no row."""
    others = input_transactions({name: tables[name] for name in model.inputs if name != driving})
    version = target.transaction_version(transaction_of(driving, tables[driving]))
    if version is None or not is_current(target, others, model.definition):
        return None
    try:
        return tables[driving].at(version)
    except VersionGone:
        return None  # its log was cleaned up
