"""Documents that tests change field by field."""

import copy
from typing import Any


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Sets the field at a dotted path; None takes it out."""
    *above, last = path.split(".")
    for name in above:
        document = document.setdefault(name, {})
    document.pop(last, None)
    if value is not None:
        document[last] = copy.deepcopy(value)
