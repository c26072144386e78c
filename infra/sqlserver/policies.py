"""Row-level security: inline functions that judge a row, and policies that put them in front of tables.

A FILTER predicate hides rows from every login, the owner included, unless its function lets them through. Here it filters what is
read; UPDATE and DELETE reach every row, and BLOCK predicates are refused. Policies are of the server and not of a transaction.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from .dialect import parse_one
from .errors import SqlError, invalid_object, not_supported

if TYPE_CHECKING:
    from .rights import Rights
    from .tables import Table

_FUNCTION = re.compile(
    r"(?is)\s*(?P<name>[\w.\[\]]+)\s*\((?P<parameters>.*?)\)\s*RETURNS\s+TABLE\s+(?:WITH\s+SCHEMABINDING\s+)?AS\s+RETURN\s*"
    r"\(?\s*(?P<body>SELECT\b.*?)\)?\s*"
)
_PREDICATE = re.compile(
    r"(?is)ADD\s+(?P<kind>FILTER|BLOCK)\s+PREDICATE\s+(?P<function>[\w.\[\]]+)\s*\((?P<arguments>[^()]*)\)\s*ON\s+(?P<table>[\w.\[\]]+)"
)
_STATE = re.compile(r"(?is)STATE\s*=\s*(ON|OFF)")


@dataclass(frozen=True)
class Function:
    """An inline function: its parameters in order, and its SELECT."""

    parameters: tuple[str, ...]
    body: exp.Expr


@dataclass(frozen=True)
class Predicate:
    """A filter of one table: which function judges its rows, by which columns."""

    function: str
    arguments: tuple[str, ...]
    table: str

    @property
    def definition(self) -> str:
        """As sys.security_predicates has it."""
        name = ".".join(f"[{part}]" for part in self.function.split("."))
        return f"({name}({','.join(f'[{argument}]' for argument in self.arguments)}))"


@dataclass(frozen=True)
class Policy:
    """A policy of the database."""

    object_id: int
    name: str
    predicates: tuple[Predicate, ...]
    is_enabled: bool


class Policies:
    """The functions and policies of a server. Used by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[str, Function] = {}
        self._policies: dict[str, Policy] = {}

    def create_function(self, text: str) -> None:
        """Keeps what follows CREATE FUNCTION; only inline functions are known."""
        found = _FUNCTION.fullmatch(text)
        if found is None:
            raise not_supported("this form of CREATE FUNCTION")
        parameters = tuple(name.lower() for name in re.findall(r"@(\w+)", found["parameters"]))
        with self._lock:
            self._functions[_plain(found["name"])] = Function(parameters, parse_one(found["body"]))

    def create(self, text: str, object_id: int) -> None:
        """Keeps what follows CREATE SECURITY POLICY; its state is ON unless it says OFF."""
        name = _plain(text.split(maxsplit=1)[0])
        predicates = [found for found in _PREDICATE.finditer(text)]
        if not predicates or any(found["kind"].upper() == "BLOCK" for found in predicates):
            raise not_supported("a security policy without FILTER predicates, or with BLOCK predicates")
        kept = tuple(
            Predicate(
                _plain(p["function"]), tuple(_plain(a, "") for a in p["arguments"].split(",")), _plain(p["table"])
            )
            for p in predicates
        )
        missing = next((predicate.function for predicate in kept if predicate.function not in self._functions), None)
        if missing:
            raise invalid_object(missing)
        state = _STATE.search(text)
        with self._lock:
            self._policies[name] = Policy(object_id, name, kept, state is None or state[1].upper() == "ON")

    def alter(self, text: str) -> None:
        """Turns a policy on or off."""
        name, state = _plain(text.split(maxsplit=1)[0]), _STATE.search(text)
        with self._lock:
            if name not in self._policies:
                raise SqlError(33268, f"Cannot find the object '{name}' because it does not exist.")
            self._policies[name] = replace(self._policies[name], is_enabled=bool(state) and state[1].upper() == "ON")

    def drop(self, text: str) -> None:
        """Takes a policy away."""
        with self._lock:
            self._policies.pop(_plain(text.split(maxsplit=1)[0]), None)

    def visible(self, rights: Rights, login: str) -> list[Policy]:
        """The policies that a login is shown: without VIEW DEFINITION or ALTER ANY SECURITY POLICY none."""
        if not any(rights.everywhere(login, right) for right in ("VIEW DEFINITION", "ALTER ANY SECURITY POLICY")):
            return []
        with self._lock:
            return list(self._policies.values())

    def judging(self, table: Table, alias: str) -> list[exp.Expr]:
        """The SELECTs that must give a row for each row of the table that is shown, over columns qualified by `alias`."""
        place = f"{table.schema}.{table.name}".lower()
        with self._lock:
            found = [
                p
                for policy in self._policies.values()
                if policy.is_enabled
                for p in policy.predicates
                if p.table == place
            ]
            return [_applied(self._functions[predicate.function], predicate, alias) for predicate in found]


def _applied(function: Function, predicate: Predicate, alias: str) -> exp.Expr:
    given = dict(zip(function.parameters, predicate.arguments, strict=True))
    return function.body.copy().transform(
        lambda node: (
            exp.column(given[node.name.lower()], table=alias, quoted=True) if isinstance(node, exp.Parameter) else node
        )
    )


def _plain(name: str, schema: str = "dbo") -> str:
    plain = name.strip().strip(";").replace("[", "").replace("]", "").lower()
    return plain if "." in plain or not schema else f"{schema}.{plain}"
