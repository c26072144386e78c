"""What others tell the bus, as far as functions read it."""

from typing import Literal

from events.model import Dispatched, Message


class NamedBucket(Message):
    """The bucket of an object."""

    name: str


class CreatedObject(Message):
    """The object that was created; its key is not quoted."""

    key: str


class ObjectCreated(Dispatched):
    """S3's event of that detail-type: there is a new object in a bucket."""

    type: Literal["Object Created"] = "Object Created"
    bucket: NamedBucket
    object: CreatedObject
