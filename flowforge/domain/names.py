"""How SQL, and an address, name the lake's tables."""

from dataclasses import dataclass

from events.names import DESTINATION, strip_layer
from events.request import InvalidRequest


@dataclass(frozen=True, order=True)
class TableName:
    """A table as SQL names it: layer and table."""

    layer: str
    table: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}"


def table_of(layer: str, name: str) -> str:
    """The table of a layer that an address means, with or without the layer; raises InvalidRequest."""
    plain = strip_layer(name, layer)
    if not DESTINATION.fullmatch(plain):
        raise InvalidRequest([{"field": "(table)", "problem": f"expected the name of a {layer} table"}])
    return plain
