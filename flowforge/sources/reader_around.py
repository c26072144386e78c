"""What a reader that changes another reader's batches has in common with others of its kind."""

from typing import TYPE_CHECKING, Self

from flowforge.sources.base import BatchReader
from flowforge.sources.reports import ReadReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa


class ReaderAround:
    """A BatchReader over another one, `below`; whoever inherits it gives `schema` and the batches.

    Resource management: closes the reader below.
    """

    schema: "pa.Schema"

    def __init__(self, below: BatchReader):
        self._below = below

    def __iter__(self) -> "Iterator[pa.RecordBatch]":
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def report(self) -> ReadReport:
        """What the reader below knows of itself."""
        return self._below.report()

    def close(self) -> None:
        """Closes the reader below."""
        self._below.close()
