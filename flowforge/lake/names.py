"""How SQL names the lake's tables."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TableName:
    """A table as SQL names it: layer and table."""

    layer: str
    table: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}"
