"""What differs between a deployment and a folder of pipelines: changes, what stays, and mistakes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from flowforge.cli.differing import Field
from flowforge.cli.pipelines import Mistake

Kind = Literal["connection", "model", "schedule"]
Action = Literal["create", "change", "remove"]


@dataclass(frozen=True)
class Change:
    """One thing to do, and how."""

    kind: Kind
    name: str
    action: Action
    fields: list[Field]
    do: Callable[[], object]

    def document(self) -> dict[str, Any]:
        """The change as JSON tells it."""
        fields = [{"field": one.name, "before": one.before, "after": one.after} for one in self.fields]
        return {"kind": self.kind, "name": self.name, "action": self.action, "fields": fields}


@dataclass
class Difference:
    """All that differs, in the order in which it is done; `left` are things that no file names and that stay."""

    changes: list[Change] = field(default_factory=list)
    same: int = 0
    left: list[tuple[Kind, str]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def removed(self) -> list[Change]:
        """What is to be removed."""
        return [change for change in self.changes if change.action == "remove"]
