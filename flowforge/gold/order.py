"""Models in the order in which they are built, and what follows from what.

Guarantees: pure. A model that reads another one comes after it; models that read each other in a circle are left out, with
those that depend on them, and said to be; what is wrong with one model does not keep the others from being built.
"""

from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from flowforge.domain.names import TableName
from flowforge.gold.models import FROM_JOB, Model


def order_models(models: Iterable[Model]) -> tuple[list[Model], list[str]]:
    """The models, each after those that it reads, and what is wrong with the ones that are left out."""
    kept, problems = _without_repeats(list(models))
    while True:
        graph = {
            model.name: [read for read in model.reads if read.layer == "gold" and read in kept]
            for model in kept.values()
        }
        try:
            return [kept[name] for name in TopologicalSorter(graph).static_order()], problems
        except CycleError as error:
            circle = [kept[name] for name in reversed(error.args[1])]
            problems.append(_circle(circle))
            left_out = following(kept.values(), {model.name for model in circle}) | {model.name for model in circle}
            kept = {name: model for name, model in kept.items() if name not in left_out}


def following(models: Iterable[Model], changed: set[TableName]) -> set[TableName]:
    """The models that read any of the `changed` tables, directly or through other models."""
    known, found = list(models), set()
    reached = set(changed)
    while new := {m.name for m in known if m.name not in found and reached & set(m.reads)}:
        found |= new
        reached |= new
    return found


def _without_repeats(models: list[Model]) -> tuple[dict[TableName, Model], list[str]]:
    """Two definitions of one table would take turns: the job's own one is kept where only one is the job's, else none."""
    kept, problems, by_name = {}, [], defaultdict[TableName, list[Model]](list)
    for model in models:
        by_name[model.name].append(model)
    for name, same in by_name.items():
        ours = [model for model in same if model.origin == FROM_JOB] if len(same) > 1 else same
        if len(ours) == 1:
            kept[name] = ours[0]
        if len(same) > 1:
            origins = " and ".join(sorted(model.origin for model in same))
            problems.append(f"{name}: two definitions for one table ({origins}); give every model its own tableName")
    return kept, problems


def _circle(circle: list[Model]) -> str:
    steps = [f"{reader.place(reader.reads[read.name])} reads {read.name}" for reader, read in pairwise(circle)]
    return f"gold models read each other in a circle: {'; '.join(steps)}"
