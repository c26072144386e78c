"""What a run is refused for before anything is loaded: SQL that must not run, models in a circle, shared destinations.

Guarantees: pure; all mistakes of a kind are told at once, each with its field.
"""

from collections.abc import Sequence

from events.commands import IngestTable
from events.quality import Expression, Rule
from events.request import InvalidRequest
from events.targets import GoldModelTarget, SourceRead, SourceTable
from flowforge.aws.secrets import refusal_of
from flowforge.domain.errors import TransformRejected
from flowforge.gold.models import model_of
from flowforge.gold.order import order_models
from flowforge.sources.base import Source


def refuse_source(source: type[Source], wanted: SourceRead, field: str, *, keeps: bool) -> None:
    """Refuses what this kind of source never reads, before anything is queued; `keeps`: no later load mends what this one gets
    wrong."""
    if mistakes := source.mistakes(wanted, keeps):
        raise InvalidRequest([{"field": f"{field}.{name}", "problem": problem} for name, problem in mistakes])


def refuse_key(secret: str, field: str) -> None:
    """Refuses a secret that requests may not name; none is fine."""
    if secret and (refusal := refusal_of(secret)):
        raise InvalidRequest([{"field": f"{field}.protectionKey", "problem": refusal}])


MOST_BYTES = 200_000  # a message holds 256 KB; on its way a command gets marks, and reasons why it came again


def refuse_models(models: list[GoldModelTarget]) -> None:
    """Refuses what a gold model must not contain, and models in a circle, before anything is loaded."""
    mistakes, read = [], []
    for model in models:
        try:
            read.append(model_of(model))
        except TransformRejected as error:
            field = f"destination_config.goldConfig model {model.table}"
            mistakes.append({"field": field, "problem": error.with_remedy})
    _, problems = order_models(read)
    mistakes += [{"field": "destination_config.goldConfig.models", "problem": problem} for problem in problems]
    if mistakes:
        raise InvalidRequest(mistakes)


def refuse_expressions(config: str, table: str, rules: Sequence[Rule]) -> None:
    """Refuses SQL that a quality rule of `table` (silver.x, gold.y) must not contain, before anything is loaded."""
    expressions = [rule for rule in rules if isinstance(rule, Expression)]
    if not expressions:
        return
    from flowforge.quality.expressions import check_expression
    from flowforge.sql_policy.statements import NotAllowed

    mistakes = []
    for rule in expressions:
        try:
            check_expression(rule.sql)
        except NotAllowed as error:
            field = f"destination_config.{config}.qualityRules {rule.title}"
            mistakes.append({"field": field, "problem": f"{table}: {error.with_remedy}"})
    if mistakes:
        raise InvalidRequest(mistakes)


def refuse_shared_destinations(commands: list[IngestTable]) -> None:
    """Refuses a run of which two tables would fill one destination."""
    mistakes = []
    for layer, name in (
        ("bronze", lambda c: c.bronze.table),
        ("silver", lambda c: c.silver.table),
        ("gold", lambda c: c.gold.table),
    ):
        owners: dict[str, str] = {}
        for command in commands:
            source, target = command.source.title, name(command)
            # Most readers of the lake take names that differ by case only for one.
            if target is None:
                continue
            if (other := owners.get(target.lower())) is None:
                owners[target.lower()] = source
            else:
                problem = (
                    f"{other} and {source} would both fill {layer} table {target!r}; name one differently, such as "
                    f"{_other_name(source, target)!r} ({layer}Config.tableName in an entry of its own)"
                )
                mistakes.append({"field": "source_config.databaseConfig.tables", "problem": problem})
    if mistakes:
        raise InvalidRequest(mistakes)


def _other_name(source: str, target: str) -> str:
    """A name that another table would not take by default."""
    schema, dot, _ = source.replace("[", "").replace("]", "").partition(".")
    return f"{target}_of_{schema if dot else 'dbo'}"


def refuse_large_commands(commands: Sequence[IngestTable]) -> None:
    """Raises InvalidRequest for tables whose message no queue takes: their query, rules and models are too long together."""
    sizes = [(command, len(command.model_dump_json().encode())) for command in commands]
    mistakes = [
        {
            "field": "source_config.databaseConfig",
            "problem": f"{command.bronze.table}: its query, rules and models take {size:,} bytes of the {MOST_BYTES:,} that a "
            "message has for them: put the query into a view, or the models into the bucket (flowforge models put FILE)",
        }
        for command, size in sizes
        if size > MOST_BYTES
    ]
    of_cut = [
        size for command, size in sizes if isinstance(command.source, SourceTable) and command.source.consistent_cut
    ]
    if not mistakes and sum(of_cut) > MOST_BYTES:
        problem = (
            f"its {len(of_cut):,} tables are one message, which would take {sum(of_cut):,} bytes of the {MOST_BYTES:,} that "
            "a queue takes: name only tables whose rows belong together, or put models into the bucket: flowforge models put "
            "FILE"
        )
        mistakes.append({"field": "source_config.databaseConfig.consistentCut", "problem": problem})
    if mistakes:
        raise InvalidRequest(mistakes)
