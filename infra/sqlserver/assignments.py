"""Compound assignment: `a += 1` written out as `a = a + (1)`, which sqlglot can read."""

from sqlglot.tokenizer_core import Token

from .dialect import is_symbol, is_word, tokenize

_OPERATORS = ("+", "-", "*", "/", "%", "&", "|", "^")


def written_out(sql: str) -> str:
    """The statement with every compound assignment of its SET list written out; other statements as they are."""
    tokens = tokenize(sql)
    for index in range(len(tokens) - 1, 0, -1):  # from the end, so that earlier positions stay true
        if _is_compound(tokens, index):
            sql = _written_out(sql, tokens, index)
    return sql


def _is_compound(tokens: list[Token], index: int) -> bool:
    operator, following = tokens[index - 1], tokens[index]
    return is_symbol(operator, *_OPERATORS) and is_symbol(following, "=") and operator.end + 1 == following.start


def _written_out(sql: str, tokens: list[Token], equals: int) -> str:
    first = equals - 2
    while first > 0 and not is_symbol(tokens[first - 1], ",") and not is_word(tokens[first - 1], "SET"):
        first -= 1
    last, depth = equals + 1, 0
    while last < len(tokens) and (depth or not _ends_value(tokens[last])):
        depth += is_symbol(tokens[last], "(") - is_symbol(tokens[last], ")")
        last += 1
    target = sql[tokens[first].start : tokens[equals - 2].end + 1]
    value = sql[tokens[equals + 1].start : tokens[last - 1].end + 1]
    head, tail = sql[: tokens[first].start], sql[tokens[last - 1].end + 1 :]
    return f"{head}{target} = {target} {tokens[equals - 1].text} ({value}){tail}"


def _ends_value(token: Token) -> bool:
    return is_symbol(token, ",", ";") or is_word(token, "WHERE", "FROM", "OUTPUT")
