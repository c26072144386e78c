"""What tells of an object that was put into a bucket: an event of S3, or a notification of MinIO."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """What tells of a dropped file: the event's object, without quotes around its ETag. `sequencer` differs for each event of an
    object; what a notice does not tell is None."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    size: int | None = None
    sequencer: str | None = None
