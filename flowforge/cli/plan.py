"""`flowforge plan`: what a job request would load now, without loading it."""

from typing import Annotated, Any

import typer

from flowforge.cli.cost import Prices, money
from flowforge.cli.document import read_document, windowed
from flowforge.cli.failure import FAILED, GOOD, Failure
from flowforge.cli.layout import facts, table
from flowforge.cli.options import Session, api_command
from flowforge.cli.runs import Column, From, To

COLUMNS = ("table", "outcome", "mode", "from", "up to", "rows", "slices", "last load", "its cost", "why")
FILES_SHOWN = 20


@api_command
def plan(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A job request (JSON); - reads stdin.")],
    session: Session,
    low: From = None,
    high: To = None,
    column: Column = None,
    prices: Prices = None,
) -> int:
    """Tell what a job request would load now: bounds, rows or files, slices, what the load before has cost, warnings, refusals.
    Nothing is written; exits 1 when a table would be refused."""
    from flowforge.cli.pricing import read_prices

    table_of_prices = read_prices(prices)
    content, document = read_document(file)
    wanted = (low, high, column)
    body = content if wanted == (None, None, None) else windowed(document, *wanted)
    rows: list[dict[str, Any]] = []
    with session.open() as api:
        first: int | None = 0
        while first is not None:
            answer = api.post("plan", body=body, first=first)
            rows += answer["tables"]
            first = answer["next"]
        _add_costs(api, rows, table_of_prices)
    session.out.answer({"tables": rows, "total": len(rows)}, table(COLUMNS, map(_row, rows)), *_told(rows))
    return FAILED if any(row["refused"] for row in rows) else GOOD


def _add_costs(api: Any, rows: list[dict[str, Any]], prices: dict[str, Any]) -> None:
    """What the load before of each table has cost, by list prices, as far as its run is still known."""
    from flowforge.operations.pricing import cost_of

    known: dict[str, Any] = {}
    for row in rows:
        last = row.get("last") or {}
        if not (run := last.get("run_id")):
            continue
        if run not in known:
            try:
                known[run] = api.get("runs", run)
            except Failure as failure:
                if failure.transient:
                    raise
                known[run] = None  # runs are kept for a time
        tables = [one for one in (known[run] or {"tables": []})["tables"] if one["table"] == row["bronze_table"]]
        told: dict[str, Any] = cost_of(known[run] | {"tables": tables}, prices) if tables else {"steps": []}
        if told["steps"]:
            row["last"] |= {"price": told["total"]["price"], "prices": told["prices"]}


def _row(row: dict[str, Any]) -> list[Any]:
    last: dict[str, Any] | None = row.get("last")
    rows = row.get("rows")
    took = f"{last['records']:,} rows in {last['seconds']:.0f} s" if last else None
    count = None if rows is None else f"{rows:,}" if row.get("counted") else f"about {rows:,}"
    bounds = [row.get("low"), row.get("high")]
    cost = f"about {money(last['price'], last['prices']['currency'])}" if last and "price" in last else None
    return [
        row["source_table"],
        row["outcome"],
        row["mode"],
        *bounds,
        count,
        row.get("slices"),
        took,
        cost,
        row.get("reason"),
    ]


def _told(rows: list[dict[str, Any]]) -> list[Any]:
    """What is to be read of each table: its conditions, what is protected, the warnings, the refusal with its remedy."""
    shown: list[Any] = []
    for row in rows:
        refused = row["refused"]
        pairs = [("where", " and ".join(row["where"]))] if row.get("where") else []
        pairs += [("protected", f"{name}: {how}") for name, how in row.get("protected", {}).items()]
        pairs += _of_comparison(row.get("comparison"))
        pairs += _of_files(row)
        pairs += [("warning", warning) for warning in row["warnings"]]
        pairs += [("refused", refused["message"]), ("remedy", refused["remedy"])] if refused else []
        if pairs:
            shown.append(facts([("table", row["source_table"]), *pairs]))
    return shown


def _of_files(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The files that the request means: how many are in each state, and the first of them that are not loaded."""
    counts = row.get("file_counts")
    if not counts:
        return []
    files = [one for one in row["files"] if one["state"] != "loaded"]
    told = [(one["state"], f"{one['key']} ({one['size']:,} bytes, {one['modified']})") for one in files[:FILES_SHOWN]]
    return [("files", ", ".join(f"{count:,} {state}" for state, count in counts.items())), *told]


def _of_comparison(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What is to be read of a comparison of keys: whether it is due, what it reads, why it would be refused."""
    if not found:
        return []
    if refused := found["refused"]:
        return [("deletes", f"keys cannot be compared: {refused['message']}"), ("remedy", refused["remedy"])]
    rows = "all" if found["rows"] is None else f"about {found['rows']:,}"
    when = "are due" if found["due"] else "are not due"
    since = f", were compared at {found['last']}" if found["last"] else ", were never compared"
    reads = f"{rows} keys ({', '.join(found['key'])}) are read twice, in a run of their own"
    return [("deletes", f"keys {when}{since}; {reads}; at most {found['max_delete_share']:.2%} of the rows may go")]
