"""Functions that tell what a login may do."""

from ..rights import RIGHTS
from ..values import INT, Typed, quote_text
from .facts import fact
from .registry import Call, function


@function("HAS_PERMS_BY_NAME", arguments=(3, 5))
def _has_permission(it: Call) -> Typed:
    """Of the rights that differ between logins; whoever is here may read, so that anything else is held."""
    kind, right = (it.constant(1) or "").upper(), (it.constant(2) or "").upper()
    knows_places = it.fact(lambda session: session.server.rights.knows_places(right))
    everywhere = it.fact(lambda session: session.server.rights.everywhere(session.login.user, right))
    if right not in RIGHTS or everywhere:
        return fact(1 if right not in RIGHTS or kind == "DATABASE" or knows_places else None, INT)
    if kind == "DATABASE" or not knows_places:
        return fact(0 if kind == "DATABASE" else None, INT)
    table = f"translate(lower({it.text(0).sql}), '[]', '')"
    column = f"{table} || '.' || lower({it.text(3).sql})" if len(it.nodes) > 3 else table
    granted = it.fact(lambda session: session.server.rights.places(session.login.user, right))
    places = ", ".join(map(quote_text, ["", *granted]))
    return Typed(f"CASE WHEN {table} IN ({places}) OR {column} IN ({places}) THEN 1 ELSE 0 END", INT)


@function("IS_SRVROLEMEMBER", "IS_MEMBER", "IS_ROLEMEMBER", "HAS_DBACCESS", arguments=(1, 4))
def _permission(it: Call) -> Typed:
    return fact(1, INT)
