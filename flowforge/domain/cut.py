"""The moment of a source that the tables of one run are as of (`consistentCut`)."""

import hashlib

from pydantic import BaseModel, ConfigDict


class Cut(BaseModel):
    """The moment that a batch is as of, with the others of its run: `version` of the database that `source` names, and of its
    history (a restore begins another one). `decided_by` is the batch (source key, generation, seq) with which all of them land or
    none; None: this one. `joining` are the silver tables of those that were not at a cut before."""

    model_config = ConfigDict(frozen=True)

    source: str
    version: int
    tables: int
    decided_by: tuple[str, int, int] | None = None
    joining: tuple[str, ...] = ()

    @property
    def history(self) -> int:
        """The source as a number of 60 bits: what an application transaction of a lake table holds."""
        return int(hashlib.sha256(self.source.encode()).hexdigest()[:15], 16)
