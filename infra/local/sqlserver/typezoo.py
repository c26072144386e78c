"""dbo.typezoo: one column of every SQL Server type; a typical row, the greatest, the least, and NULLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session


def create_typezoo(session: Session) -> None:
    raise NotImplementedError
