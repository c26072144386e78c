"""`flowforge test-connection`, `tables` and `describe`: look at a SQL Server before loading from it.

All three ask the API, whose functions hold the drivers and reach the network that the loads will use.
"""

from typing import Annotated, Any

import typer

from flowforge.cli.connection import SourceChoice, server_of
from flowforge.cli.failure import FAILED, GOOD
from flowforge.cli.layout import Rows, facts, table
from flowforge.cli.loaded import only_source, source_of_table
from flowforge.cli.options import Session, source_command


@source_command
def try_connection(choice: SourceChoice, session: Session) -> int:
    """Log in to a SQL Server and tell what the login may see; exits 1 when it cannot."""
    body = {"connection": choice.resolve(session.api)}
    with session.open() as api:
        answer = api.post("test-connection", "database", body=body)
    shown = answer | ({"change_tracking": _tracking(answer["change_tracking"])} if "change_tracking" in answer else {})
    lines = [(name.replace("_", " "), value) for name, value in shown.items()]
    session.out.answer(answer, facts([*lines, *_statements(answer)]))
    return GOOD if answer["status"] == "success" else FAILED


@source_command
def tables(choice: SourceChoice, session: Session) -> int:
    """List the tables and views that the login may read."""
    with session.open() as api:
        loaded = None if choice.is_named else only_source(api)
        connection = choice.resolve(session.api, loaded)
        answer = api.all_pages("tables", "database", "tables", body={"connection": connection})
    answer["server"] = server_of(connection)
    rows = ([t["schema"], t["name"], t["type"], t.get("row_estimate")] for t in answer["tables"])
    listing = table(["schema", "name", "type", "rows (estimate)"], rows)
    session.out.answer(answer, facts([("server", answer["server"])]), listing)
    return GOOD


@source_command
def describe(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="customers, sales.orders, [an odd name] …")],
    choice: SourceChoice,
    session: Session,
    preview: Annotated[int, typer.Option("--preview", min=0, max=1000, help="Rows to show.")] = 5,
) -> int:
    """Show a table's columns, keys, possible cursors and first rows."""
    with session.open() as api:
        loaded = None if choice.is_named else source_of_table(api, name)
        connection = choice.resolve(session.api, loaded)
        answer = api.post("database", "schema", body={"connection": connection, "table": name, "preview": preview})
    answer["server"] = server_of(connection)
    session.out.answer(answer, *_description(answer))
    return GOOD


def _description(answer: dict[str, Any]) -> list[Any]:
    columns = (
        [c["name"], c["sql_type"], c["arrow_type"], "yes" if c["nullable"] else "no", _marks(c)]
        for c in answer["columns"]
    )
    heading = [
        ("server", answer["server"]),
        ("table", f"{answer['schema']}.{answer['name']}"),
        ("rows (estimate)", answer["row_estimate"]),
        ("primary key", ", ".join(answer["primary_key"]) or None),
        *_cursors(answer["cursor_candidates"]),
    ]
    if answer.get("change_tracking"):
        heading += [("change tracking", _tracking(answer["change_tracking"])), *_statements(answer)]
    shown: list[Any] = [facts(heading), table(["column", "SQL Server", "Arrow", "nullable", ""], columns)]
    preview = answer.get("preview") or {}
    if preview.get("rows"):
        shown.append(Rows(preview["columns"], preview["rows"]))
    return shown


def _tracking(told: dict[str, Any] | None) -> str | None:
    """Change Tracking in one line."""
    if not told:
        return None
    if told.get("problem"):
        return f"no: {told['problem']}"
    kept = f", changes are kept for {told['retention']}" if told.get("retention") else ""
    count = f", {told['tables']} tables" if told.get("tables") is not None else ""
    return f"on{kept}{count}" if told.get("on") else "off"


def _statements(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What is missing to load changes, as T-SQL to run."""
    found = (answer.get("change_tracking") or {}).get("statements") or []
    return [("to load changes" if n == 0 else "", f"{statement};") for n, statement in enumerate(found)]


def _marks(column: dict[str, Any]) -> str:
    marks = {"key": column.get("primary_key"), "identity": column.get("identity")}
    protected = [f"protected: {column['protected']}"] if column.get("protected") else []
    return ", ".join([name for name, present in marks.items() if present] + protected)


def _cursors(candidates: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """A line for each column by which new rows may be found, with what it promises where that is told."""
    return [("" if n else "cursors", _cursor(candidate)) for n, candidate in enumerate(candidates)]


def _cursor(candidate: dict[str, Any]) -> str:
    indexed = ", indexed" if candidate.get("indexed") else ""
    promise = f": {candidate['promise']}" if candidate.get("promise") else ""
    return f"{candidate['column']} ({candidate['kind']}{indexed}){promise}"
