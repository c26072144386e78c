"""How long history is kept: what only tells of the past carries the time at which it goes by itself.

DynamoDB deletes an item some days after its EXPIRES_AT, and an embedded AWS not at all; so readers take an item for gone from
that moment on, and `operations.folding` removes what is left. What a version before has written carries no such time: it goes by
its age.
"""

import time

from flowforge.aws.items import Item
from flowforge.runtime.settings import settings

EXPIRES_AT = "expires_at"  # the template names it as the table's TTL attribute; epoch seconds
NOT_EXPIRED = f"attribute_not_exists({EXPIRES_AT}) OR {EXPIRES_AT} > :now"  # a filter of queries; `:now` is `now()`
DAY = 86_400


def expires_at() -> int:
    """When what is written now goes."""
    return now() + settings().history_days * DAY


def now() -> int:
    """The time as items carry it."""
    return int(time.time())


def is_expired(item: Item) -> bool:
    """Whether an item is gone for its readers."""
    return EXPIRES_AT in item and item[EXPIRES_AT] <= time.time()
