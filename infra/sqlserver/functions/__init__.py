"""The T-SQL functions that the stand-in knows. Importing the package registers them all."""

from . import choices, dates, facts, lsns, numbers, permissions, texts
from .aggregates import window
from .methods import method, static_method
from .registry import call

__all__ = [
    "call",
    "choices",
    "dates",
    "facts",
    "lsns",
    "method",
    "numbers",
    "permissions",
    "static_method",
    "texts",
    "window",
]
