"""The destinations of a command: each layer's table and settings, with no default left to guess, refused where SQL in them must
not run."""

from typing import Any, NamedTuple

from events.choices import Deletes, MergeStrategy
from events.commands import Layer
from events.request import DestinationConfig, GoldConfig, GoldModel, SilverConfig
from events.request.deletes import DeleteDetection, seconds_of
from events.targets import BronzeTarget, GoldModelTarget, GoldTarget, SilverTarget
from flowforge.domain.given import given
from flowforge.jobs.refusals import refuse_expressions, refuse_models


class Targets(NamedTuple):
    """The three layers of a command, and which of their names the request does not give."""

    bronze: BronzeTarget
    silver: SilverTarget
    gold: GoldTarget
    default_names: list[Layer]


def targets_of(destination: DestinationConfig, stem: str, strategy: MergeStrategy = "merge") -> Targets:
    """The targets; `stem` is what silver and gold are called by default, `strategy` how silver merges where the request does not
    say. Raises InvalidRequest."""
    bronze, silver, gold = destination.bronzeConfig, destination.silverConfig, destination.goldConfig
    silver_table = (silver.tableName if silver else None) or stem
    gold_table = (gold.tableName if gold else None) or silver_table
    gold_target = _gold(gold, gold_table)
    refuse_models(gold_target.models)
    refuse_expressions("silverConfig", f"silver.{silver_table}", silver.qualityRules if silver else [])
    refuse_expressions("goldConfig", f"gold.{gold_table}", gold_target.quality_rules)
    named: dict[Layer, str | None] = {"bronze": bronze.tableName, "silver": silver and silver.tableName}
    named["gold"] = (gold and gold.tableName) or named["silver"] or (None if gold_target.table else gold_table)
    if silver is not None and "mergeStrategy" in silver.model_fields_set:
        strategy = silver.mergeStrategy
    return Targets(
        bronze=BronzeTarget(
            table=bronze.tableName or f"bronze_{stem}",
            load_strategy=bronze.loadStrategy,
            audit_columns=bronze.auditColumns,
            compression=bronze.compression,
        ),
        silver=SilverTarget(
            table=silver_table,
            primary_key=listed(silver.primaryKey) if silver else [],
            strategy=strategy,
            deletes=_deletes(silver),
            **_detection(silver),
            quality_rules=silver.qualityRules if silver else [],
            schema_mode=silver.schemaMode if silver else "evolve",
            key_comparison=silver.keyComparison if silver else "source",
            null_keys=silver.nullKeys if silver else "match",
        ),
        gold=gold_target,
        default_names=[layer for layer, name in named.items() if not name],
    )


def listed(given: str | list[str] | None) -> list[str]:
    """One name, or several, as a list."""
    return [given] if isinstance(given, str) else given or []


def _deletes(silver: SilverConfig | None) -> Deletes:
    """Hard unless the request says otherwise; history closes a version instead."""
    if silver is None:
        return "hard"
    mode = silver.deletes.mode if isinstance(silver.deletes, DeleteDetection) else silver.deletes
    return mode or ("soft" if silver.mergeStrategy == "scd2" else "hard")


def _detection(silver: SilverConfig | None) -> dict[str, Any]:
    """How a load that sees no deletions finds them; nothing where it is not asked to."""
    wanted = silver.deletes if silver else None
    if not isinstance(wanted, DeleteDetection):
        return {}
    every = seconds_of(wanted.every)
    return {"detects": wanted.detect, "compared_every": every, "most_deleted": wanted.maxDeleteShare}


def _gold(config: GoldConfig | None, table: str) -> GoldTarget:
    if config is None:
        return GoldTarget(table=table)
    models = [_model(model.tableName, model) for model in config.models]
    if config.sql:
        return GoldTarget(models=[_model(table, config), *models])
    key = listed(config.primaryKey)
    settings: dict[str, Any] = {"build_strategy": config.buildStrategy, "quality_rules": config.qualityRules}
    return GoldTarget(table=table, primary_key=key, models=models, **settings)


def _model(table: str, asked: GoldModel | GoldConfig) -> GoldModelTarget:
    settings: dict[str, Any] = {"build_strategy": asked.buildStrategy, "quality_rules": asked.qualityRules}
    return GoldModelTarget(table=table, sql=given(asked.sql), primary_key=listed(asked.primaryKey), **settings)
