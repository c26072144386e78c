"""What moto takes long to put together: DynamoDB's values, and the name of each answer.

For each value of an item moto looks for ten possible types under dozens of possible names, 95 % of what it takes for an item of
twenty entries. A value here names its one type, as it goes over the wire, so its own names are enough. An answer's name moto
draws letter by letter, 5 % of what a small call takes.
"""

import os
from collections.abc import Callable
from typing import Any

from moto.core import responses
from moto.core.serialize import BaseJSONSerializer

from infra.local.moto_mendings.edge import put_in_place


def serialize_named(
    serializer: Any,
    serialized: dict[str, Any],
    value: Any,
    shape: Any,
    key: str,
    _serialize: Callable = BaseJSONSerializer._serialize_type_structure,
) -> None:
    """Write a structure; of a DynamoDB value, which is one of its shape's members by its exact name, no other member."""
    if not (key and shape.name == "AttributeValue" and type(value) is dict and value.keys() <= shape.members.keys()):
        _serialize(serializer, serialized, value, shape, key)
        return
    written: dict[str, Any] = {}
    for name, content in value.items():
        if content is not None:
            serializer._serialize(written, content, shape.members[name], name)
    serializer._default_serialize(serialized, written, shape, key)


def name_answer(headers: dict[str, str]) -> str:
    """Give an answer a name of 52 letters, that no other has, and return it."""
    headers["x-amzn-requestid"] = name = os.urandom(26).hex().upper()
    return name


def answer_by_name() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(BaseJSONSerializer, _serialize_type_structure=serialize_named)
    put_in_place(responses, gen_amzn_requestid_long=name_answer)
