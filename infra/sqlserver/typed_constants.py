"""Constants of a statement, typed as T-SQL types them."""

from .types import SqlType
from .values import INT, Typed, decimal_of, quote_text


def text_constant(text: str, national: bool) -> Typed:
    """A string constant, N'…' if it is national; letters beyond the code page become `?` otherwise."""
    kind = SqlType(
        "nvarchar" if national else "varchar", max(1, len(text)) if len(text) <= (4000 if national else 8000) else -1
    )
    if not national:
        text = text.encode("cp1252", "replace").decode("cp1252")
    return Typed(quote_text(text), kind, False, text)


def number_constant(text: str) -> Typed:
    """A number as T-SQL types it: int, else exact decimal, else float."""
    if "e" in text.lower():
        return Typed(f"CAST({text} AS DOUBLE)", SqlType("float"), False)
    if "." not in text:
        if int(text) <= 2**31 - 1:
            return Typed(text, INT, False)
        kind = SqlType("decimal", 0, len(text.lstrip("0")), 0)
        return Typed(f"CAST({text} AS {kind.duckdb})", kind, False)
    whole, _, fraction = text.partition(".")
    kind = decimal_of(max(1 if not fraction else 0, len(whole.lstrip("0"))), len(fraction))
    return Typed(f"CAST('{text}' AS {kind.duckdb})", kind, False)
