"""The T-SQL functions that the stand-in knows. Importing the package registers them all."""

from . import choices, dates, facts, numbers, texts
from .aggregates import window
from .methods import method, static_method
from .registry import call

__all__ = ["call", "choices", "dates", "facts", "method", "numbers", "static_method", "texts", "window"]
