"""Methods of the CLR types: hierarchyid, geography, geometry."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from sqlglot import exp

from ..errors import SqlError, not_supported
from ..profiles import FOREIGN
from ..types import SqlType
from ..values import INT, Typed
from .registry import REGISTRY, call

if TYPE_CHECKING:
    from ..compiling import Values
    from ..scopes import Scope


def method(node: exp.Dot, expressions: Values, scope: Scope) -> Typed:
    """`column.ToString()`, `column.STAsBinary()`, `column.STSrid`, and functions of a schema."""
    call_node, path = node.expression, node.this
    parts = [item.name for item in path.flatten()] if isinstance(path, exp.Dot) else [path.name]
    if isinstance(path, exp.Column):
        parts = [item.name for item in path.parts]
    if parts == ["sys"] and f"SYS.{call_node.name.upper()}" in REGISTRY:
        return call(f"sys.{call_node.name}", call_node.expressions, expressions, scope)
    value = scope.resolve(parts[-1], parts[-2] if len(parts) > 1 else "")
    name = call_node.name.lower()
    base = value.kind.base
    if base == "hierarchyid" and name == "tostring":
        return Typed(value.sql, SqlType("nvarchar", 4000))
    if name == "asbinaryzm" and expressions.compiler.profile.is_babelfish:
        raise SqlError(FOREIGN, f"function sys.asbinaryzm(sys.{base}) does not exist")
    if base in ("geography", "geometry") and name in ("stasbinary", "asbinaryzm"):
        # A geography holds latitude before longitude; WKB has x first. STAsBinary has no place for Z and M.
        macro = "point_wkb" if name == "stasbinary" else "point_wkb_zm"
        return Typed(f"{macro}({value.sql}, {base == 'geometry'})", SqlType("varbinary", -1))
    if base in ("geography", "geometry") and name == "stsrid":
        return Typed(f"point_srid({value.sql})", INT)
    raise SqlError(6506, f"Could not find method '{call_node.name}' for type '{value.type}'.")


def static_method(node: exp.ScopeResolution, expressions: Values, scope: Scope) -> Typed:
    """`geography::Point(latitude, longitude, SRID)`, `geometry::Point(x, y, SRID)`, `hierarchyid::Parse(path)`."""
    base, call_node = node.this.name.lower(), node.expression
    name = call_node.name.lower()
    if base == "hierarchyid" and name == "parse":
        return Typed(expressions.value(call_node.expressions[0], scope).sql, SqlType("hierarchyid"))
    if base == "geometry" and name == "stgeomfromtext":
        return _from_text(*(item.name for item in call_node.expressions))
    if base not in ("geography", "geometry") or name != "point" or len(call_node.expressions) != 3:
        raise not_supported(f"{base}::{call_node.name}")
    try:
        first, second, srid = (float(item.sql()) for item in call_node.expressions)
    except ValueError:
        raise not_supported("Point with anything but constants") from None
    data = struct.pack("<IBBdd", int(srid), 1, 0x0C, first, second)
    return Typed(f"unhex('{data.hex()}')", SqlType(base), False)


def _from_text(text: str, srid: str) -> Typed:
    """A point as text with up to four numbers: x, y, Z, M; NULL for a Z that is missing before an M."""
    found = re.fullmatch(r"(?i)\s*point\s*\(([^()]+)\)\s*", text)
    if found is None:
        raise not_supported("geometry::STGeomFromText of anything but a point")
    x, y, *more = (None if word.upper() == "NULL" else float(word) for word in found[1].split())
    z, m = (*more, None, None)[:2]
    kept = [value for value in (z, m) if value is not None]
    flags = 0x0C | (z is not None) | (m is not None) << 1
    data = struct.pack(f"<IBBdd{len(kept)}d", int(srid), 1, flags, x, y, *kept)
    return Typed(f"unhex('{data.hex()}')", SqlType("geometry"), False)
