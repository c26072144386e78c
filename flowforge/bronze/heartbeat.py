"""The heartbeat of a claim: as long as a worker lives, its batch is not taken over."""

import threading
from typing import Self

from flowforge.settings import settings
from flowforge.state import batches
from flowforge.state.batch import Batch


class Heartbeat:
    """Keeps a claim's lease alive while the block runs; it ends by itself when the claim is taken away."""

    def __init__(self, batch: Batch):
        self._batch, self._stop = batch, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(settings().lease_seconds / 4):
            try:
                if not batches.renew(self._batch):
                    return
            except Exception:  # noqa: S112  the next beat tries again; a lost lease is noticed when the batch lands
                continue
