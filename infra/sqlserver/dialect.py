"""T-SQL as sqlglot reads it for the stand-in, and the bridge from its data types to ours.

sqlglot normalises many functions into its own generic nodes and loses what T-SQL meant (GETDATE and SYSDATETIME
become one). Here every function call stays what was written, an `Anonymous` with a name and arguments; `functions.py`
alone knows what each means, and refuses what it does not know.
"""

# ruff: noqa: RUF012 - sqlglot's own way to configure a dialect

import re
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.tsql import TSQL
from sqlglot.tokenizer_core import Token, TokenType

from .errors import SqlError, not_supported, syntax_error
from .types import SqlType, parse_type


class StandInTSQL(TSQL):
    """sqlglot's T-SQL with function calls left as they were written."""

    class Tokenizer(TSQL.Tokenizer):
        COMMANDS = set()
        # Without these, the types keep their own names instead of becoming a generic float or text.
        KEYWORDS = {word: kind for word, kind in TSQL.Tokenizer.KEYWORDS.items() if word not in ("REAL", "NTEXT")}

    class Parser(TSQL.Parser):
        FUNCTIONS = {}
        NO_PAREN_FUNCTIONS = {}
        FUNCTION_PARSERS = {
            name: parser
            for name, parser in TSQL.Parser.FUNCTION_PARSERS.items()
            if name in ("CAST", "CONVERT", "TRY_CAST", "TRY_CONVERT")
        }


_DIALECT = StandInTSQL()
# Tokens whose text is data or a name, never a keyword or a symbol.
LITERALS = {TokenType.STRING, TokenType.NATIONAL_STRING}
QUOTED = {TokenType.STRING, TokenType.IDENTIFIER, TokenType.NATIONAL_STRING}

# Each load of each table asks the clock and the catalog in the same words; a copy of a tree takes a third of reading it.
KEPT_TEXTS, LONGEST_KEPT = 512, 20_000  # texts that came last; characters: an INSERT of many rows is read and forgotten


def tokenize(sql: str) -> list[Token]:
    """The tokens of a batch, one word each (sqlglot joins some keywords, such as PRIMARY KEY)."""
    tokens = []
    for token in _raw_tokens(sql):
        written = sql[token.start : token.end + 1]
        if token.token_type in QUOTED or not re.search(r"\s", written):
            tokens.append(token)
            continue
        for word in re.finditer(r"\S+", written):
            first = token.start + word.start()
            tokens.append(Token(TokenType.VAR, word.group(), start=first, end=token.start + word.end() - 1))
    return tokens


def _raw_tokens(sql: str) -> list[Token]:
    """The tokens as sqlglot reads them: a batch that is one statement is cut and parsed from the same ones."""
    return _last_tokens(sql) if len(sql) <= LONGEST_KEPT else _DIALECT.tokenize(sql)


_last_tokens = lru_cache(16)(_DIALECT.tokenize)


def parse_one(sql: str) -> exp.Expr:
    """One statement or expression, the caller's own. Raises sqlglot's ParseError or TokenError."""
    return _remembered(sql).copy() if len(sql) <= LONGEST_KEPT else _parsed(sql)


def parse_shared(sql: str) -> exp.Expr:
    """The same for whoever only reads it: others have the same tree."""
    return _remembered(sql) if len(sql) <= LONGEST_KEPT else _parsed(sql)


def _parsed(sql: str) -> exp.Expr:
    written = _with_named_tables(sql) if "changetable" in sql.lower() else sql
    parsed = [tree for tree in _DIALECT.parser().parse(_raw_tokens(written), written) if tree is not None]
    if len(parsed) != 1:
        raise syntax_error(sql.strip()[:30])
    return parsed[0]


_remembered = lru_cache(KEPT_TEXTS)(_parsed)


def _with_named_tables(sql: str) -> str:
    """The text with the table of each CHANGETABLE(CHANGES table, …) as a quoted name, which sqlglot can read."""
    tokens = tokenize(sql)
    for index in range(len(tokens) - 3, -1, -1):  # from the end, so that earlier positions stay true
        if not (is_word(tokens[index], "CHANGETABLE") and is_symbol(tokens[index + 1], "(")):
            continue
        if not is_word(tokens[index + 2], "CHANGES"):
            what = tokens[index + 2].text
            raise not_supported("CHANGETABLE(VERSION …)") if what.upper() == "VERSION" else syntax_error(what)
        comma = next((n for n in range(index + 3, len(tokens)) if is_symbol(tokens[n], ",")), None)
        if comma is None:
            raise syntax_error(")")
        name = sql[tokens[index + 3].start : tokens[comma - 1].end + 1]
        quoted = "N'" + name.replace("'", "''") + "'"
        sql = f"{sql[: tokens[index + 2].start]}{quoted}{sql[tokens[comma].start :]}"
    return sql


def parse_expression(sql: str) -> exp.Expr:
    """A scalar expression, such as a column's default."""
    select = parse_one(f"SELECT {sql}")
    if not isinstance(select, exp.Select):
        raise syntax_error(sql.strip()[:30])
    return select.selects[0]


_GENERIC_NAMES = {
    "TEXT": "text", "TIMESTAMP": "rowversion", "ROWVERSION": "rowversion", "VARIANT": "sql_variant", "DOUBLE": "float",
    "UTINYINT": "tinyint", "TINYINT": "tinyint", "INT": "int", "BOOLEAN": "bit", "TIMESTAMPTZ": "datetimeoffset",
    "UUID": "uniqueidentifier", "NTEXT": "ntext", "HIERARCHYID": "hierarchyid",
    "SMALLDATETIME": "smalldatetime", "DATETIME": "datetime", "DATETIME2": "datetime2", "BLOB": "image",
}  # fmt: skip


def sql_type_of(node: exp.DataType) -> SqlType:
    """The SQL Server type that a parsed CAST or CONVERT names."""
    kind = node.this.name if hasattr(node.this, "name") else str(node.this)
    name = str(node.args.get("kind") or "") if kind == "USERDEFINED" else _GENERIC_NAMES.get(kind, kind)
    arguments = [part.name or part.sql() for part in node.expressions]
    if name.lower() in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary") and not arguments:
        arguments = ["30"]  # CAST without a length
    text = f"{name}({','.join(arguments)})" if arguments else name
    try:
        return parse_type(text)
    except ValueError:
        raise SqlError(243, f"Type {text} is not a defined system type.") from None


def is_word(token: Token, *words: str) -> bool:
    """Whether a token is one of these keywords, written without quotes."""
    return token.token_type not in QUOTED and token.text.upper() in words


def is_symbol(token: Token | None, *symbols: str) -> bool:
    """Whether a token is one of these signs, and not text or a name that looks like one."""
    return token is not None and token.token_type not in QUOTED and token.text in symbols
