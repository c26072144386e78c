"""What writing an item costs in the embedded AWS: moto takes an update's text apart twice, copies what it has found node by node
with all that is above each, walks through the copy ten times and asks an abstract class of each node what it is. And for each
attribute that it puts into an item it measures all others: nearly half of what an update takes.

Here a text is taken apart once as long as it is among the last ones: what comes of it is looked at and copied, never changed.
What a class is, is asked once. An item that is put whole is measured once.
"""

import copy
import functools
from typing import Any

from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Expression, Node, UpdateExpressionFunction
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

from infra.local.moto_mendings.edge import put_in_place

MOST_TEXTS = 1024
MOST_BYTES = 405_000  # moto's own: an item of AWS is refused between 400 and 410 KB

is_kind = functools.cache(issubclass)


def copy_node(node: Any, memo: dict[int, Any]) -> Any:
    """Copy a node with all below it, as `copy.deepcopy` does; what is above it is not below it."""
    twin = object.__new__(type(node))
    twin.__dict__.update(node.__dict__)
    twin.parent = None
    if node.children is not None:
        twin.children = [copy.deepcopy(child, memo) for child in node.children]
        for child in twin.children:
            if is_kind(type(child), Node):
                child.parent = twin
    return twin


def walk(traverser: Any, root: Any) -> Any:
    """Process the nodes of a tree bottom up, each in place of what it was; returns the root."""
    steps = tuple(traverser._processing_map().items())

    def visit(node: Any, place: int) -> Any:
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            traverser.pre_processing_of_child(node, number)
            if is_kind(type(child), Node):
                visit(child, number)
        step = next((step for kind, step in steps if is_kind(type(node), kind)), None)
        if step is not None:
            node = step(node)
            node.parent = parent
            if parent:
                parent.children[place] = node
        return node

    return visit(root, -1)


def find_clauses(node: Any, kinds: Any) -> list[Any]:
    """The nodes of these classes below a node, without those below them."""
    found = []
    for child in node.children or ():
        if type(child) in kinds:
            found.append(child)
        elif is_kind(type(child), Expression) or is_kind(type(child), UpdateExpressionFunction):
            found.extend(find_clauses(child, kinds))
    return found


def make_item(item: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    """Make an item of its attributes, and measure it when it has them all."""
    item.hash_key, item.range_key = hash_key, range_key
    item.attrs = LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(item.attrs, name, DynamoType(value))
    if item.size() > MOST_BYTES:
        raise ItemSizeTooLarge


def write_items_quickly() -> None:
    """Put the replacements of this module in place, in this process."""
    take_apart = functools.lru_cache(MOST_TEXTS)(UpdateExpressionParser.make)
    put_in_place(UpdateExpressionParser, make=staticmethod(take_apart))
    put_in_place(Node, __deepcopy__=copy_node, find_clauses=find_clauses)
    put_in_place(DepthFirstTraverser, traverse=walk)
    put_in_place(Item, __init__=make_item)
