"""Table hints that let a read miss rows, see rows twice, or see what was never committed: NOLOCK, READUNCOMMITTED, READPAST.

"Table hints (Transact-SQL)". A hint stands in parentheses behind WITH, behind a table in FROM, or in OPTION (TABLE HINT …); the
same word in a text, a comment, a quoted name, or as the name of a column is none. Pure.
"""

from collections.abc import Iterator, Sequence

from flowforge.sources.sqlserver.query_text import Token, tokens_of

LOOSE = ("NOLOCK", "READUNCOMMITTED", "READPAST")
_OTHERS = (
    "FORCESCAN",
    "FORCESEEK",
    "HOLDLOCK",
    "INDEX",
    "KEEPIDENTITY",
    "NOEXPAND",
    "NOWAIT",
    "PAGLOCK",
    "READCOMMITTED",
)
_OTHERS += (
    "READCOMMITTEDLOCK",
    "REPEATABLEREAD",
    "ROWLOCK",
    "SERIALIZABLE",
    "SNAPSHOT",
    "TABLOCK",
    "TABLOCKX",
    "UPDLOCK",
    "XLOCK",
)
_CLAUSES = (
    "SELECT",
    "FROM",
    "JOIN",
    "APPLY",
    "ON",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "OPTION",
)
_TABLES = ("FROM", "JOIN", "APPLY")
MEANS = "may miss rows, read some twice, or read what is never committed"


def loose_hints(sql: str) -> list[str]:
    """The hints of that kind in a text, each once, in alphabetical order. Raises QueryRefused for a text that ends no quote."""
    tokens = list(tokens_of(sql))
    return sorted({tokens[at].text for start in _hint_lists(tokens) for at in _items(tokens, start)} & set(LOOSE))


def told_hints(hints: Sequence[str], where: str) -> list[str]:
    """What a run says of them, each time."""
    return [f"{where} reads with {', '.join(hints)}: this load {MEANS}"] if hints else []


def refusal(hints: Sequence[str]) -> str:
    """Why a load is refused whose mistakes no later load would mend, and what to do."""
    return (
        f"the query reads with {', '.join(hints)}: it {MEANS}, and no later load of these settings would mend that. Leave the "
        "hint out: FlowForge reads under SNAPSHOT where the database allows it, and then waits for no lock and blocks nobody"
    )


def _hint_lists(tokens: Sequence[Token]) -> Iterator[int]:
    """Where the parentheses open that may hold hints."""
    clause: dict[int, str] = {}
    for at, token in enumerate(tokens):
        if token.kind == "word" and token.text in _CLAUSES:
            clause[token.depth] = token.text
        if token.text != "(" or token.kind != "sign":
            continue
        clause[token.depth + 1] = ""
        before = tokens[at - 1] if at else None
        if before is None:
            continue
        is_table = (
            before.kind in ("word", "name") and before.text not in _CLAUSES and clause.get(token.depth) in _TABLES
        )
        if before.text in ("WITH", "HINT") or is_table:
            yield at


def _items(tokens: Sequence[Token], start: int) -> Iterator[int]:
    """The words of a list that stand where a hint does: between commas, parentheses and other hints."""
    inside = tokens[start].depth + 1
    for at in range(start + 1, len(tokens) - 1):
        if tokens[at].depth < inside:
            return
        if tokens[at].depth == inside and tokens[at].kind == "word" and _ends(tokens[at - 1]) and _ends(tokens[at + 1]):
            yield at


def _ends(token: Token) -> bool:
    return (token.kind == "sign" and token.text in "(),") or (token.kind == "word" and token.text in LOOSE + _OTHERS)
