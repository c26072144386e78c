"""`flowforge reconcile`: compares a silver table with its source and names the key ranges that differ.

What is compared comes from the API (the table's source and watermark); the rows are read here, from the source with the login
that is named and from the lake with the caller's own S3 credentials, since a comparison takes as long as the table is large.
"""

import os
from typing import Annotated, Any

import typer

from flowforge.cli.apply_deletes import apply, refuse_source
from flowforge.cli.connection import SourceChoice, server_of
from flowforge.cli.failure import FAILED, GOOD, BadRequest, Failure
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import facts, table
from flowforge.cli.loaded import address_of, refuse_another
from flowforge.cli.options import Session, source_command
from flowforge.cli.target import local_stack

UNSETTLED = ("claimed", "landed", "committed")
_COLUMNS = (
    "keys",
    "source rows",
    "silver rows",
    "missing",
    "changed",
    "source checksum",
    "silver checksum",
    "for example",
)


@source_command
def reconcile(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="The bronze table's name or the source's.")],
    choice: SourceChoice,
    session: Session,
    rows: Annotated[int, typer.Option("--range-rows", min=1, help="Rows in one range of keys.")] = 100_000,
    bucket: Bucket = None,
    apply_deletes: Annotated[
        bool, typer.Option("--apply", help="Take out of silver the rows whose keys the source has no more, in a run.")
    ] = False,
    share: Annotated[
        str | None,
        typer.Option(
            "--max-delete-share", metavar="SHARE", help="With --apply: how many rows may go this once, 0 to 1."
        ),
    ] = None,
) -> int:
    """Compare counts and checksums of a table's key ranges between source and silver; exits 1 when they differ. With --apply what
    is gone at the source is taken out of silver instead."""
    if apply_deletes:
        refuse_source(choice)
        return apply(session, name, share)
    if share is not None:
        raise BadRequest("--max-delete-share is for --apply", "add --apply, or leave it out")
    with session.open() as api:
        mark = api.get("watermarks", address_of(api, name))
    _refuse_files(mark)
    _refuse_unsettled(mark)
    stack = local_stack(session.api)
    connection = choice.resolve(session.api, mark.get("connection"))
    chosen = open_lake(bucket, session.api)
    if stack is not None:
        _use_tables(stack)
    answer = _compared(mark, connection, chosen, rows, session)
    server = server_of(connection)
    session.out.answer(
        {"table": mark["bronze_table"], "server": server, **answer.document()}, *_shown(mark, answer, server)
    )
    return FAILED if answer.differs else GOOD


def _use_tables(stack: dict[str, Any]) -> None:
    """What a comparison needs of the stack beside AWS: its certificate and its saved connections."""
    if stack.get("ca_file"):
        os.environ.setdefault("FLOWFORGE_SOURCE_CA_FILE", stack["ca_file"])


def _refuse_files(mark: dict[str, Any]) -> None:
    from flowforge.domain.source_key import is_of_files

    if is_of_files(mark["source_key"]):
        raise Failure(
            f"{mark['bronze_table']} is loaded from files, which are not compared with the lake",
            "each load has counted its files' records by a pass of its own: see the run's figures",
            error="UnsupportedSource",
        )


def _refuse_unsettled(mark: dict[str, Any]) -> None:
    # A comparison of keys that was refused stays out of silver: its refusal says to look here.
    rows = (one for one in mark["history"] if one["state"] not in ("empty", "voided") and not one.get("only_keys"))
    newest = next(rows, None)
    if newest is None:
        raise Failure(f"{mark['bronze_table']} has no batch yet", "load it first", error="NothingLoaded")
    if newest["state"] in UNSETTLED or mark.get("active_batch"):
        raise Failure(
            f"batch {newest['seq']} of {mark['bronze_table']} is {newest['state']}, not yet in silver",
            "try again once its run has ended",
            error="UnderWay",
            transient=True,
        )


def _compared(mark: dict[str, Any], connection: dict[str, Any], bucket: str, rows: int, session: Session) -> Any:
    from flowforge.domain.interval import RowCondition
    from flowforge.domain.own_columns import CHANGE_VERSION
    from flowforge.domain.source_key import SourceKey
    from flowforge.operations.findings import Question
    from flowforge.operations.reconcile import reconcile
    from flowforge.sources.registry import source_of

    column, found = next(iter(mark["watermarks"].items()), (None, {}))
    if column == CHANGE_VERSION:  # no column of the table: all of its rows are compared
        column, found = None, {}
    question = Question(
        source_table=SourceKey.parse(mark["source_key"]).written,
        silver_table=mark["silver_table"],
        column=column,
        sql_type=found.get("sql_type"),
        bound=found.get("value") if found.get("sql_type") else None,
        rows_per_range=rows,
        renamed=mark.get("renamed") or {},
        casts=mark.get("cast") or {},
        protected=tuple(mark.get("protected") or {}),
        where=tuple(RowCondition.model_validate(one) for one in mark.get("where") or []),
    )
    with lake_failures():
        target = _target(connection, session)
        reference = target.reference
        refuse_another(mark, reference.host, reference.port, reference.database)
        with session.out.messages.status("reading …") as status:
            return reconcile(question, source_of(target), bucket, lambda n: status.update(f"{n:,} rows read …"))


def _target(connection: dict[str, Any], session: Session) -> Any:
    """The source with its login; where a saved connection leads to is asked of the API, since its table may not be known here."""
    from flowforge.sources.target import Target, read_credentials, target_in
    from flowforge.state.connections import shown_reference

    saved = connection.get("connectionId")
    if not saved:
        return target_in({"connection": connection})
    with session.open() as api:
        listed = api.all_pages("connections", "connections")["connections"]
    found = next((one for one in listed if one["id"] == saved), None)
    if found is None:
        raise Failure(
            f"no saved connection {saved!r}",
            f"flowforge connections add {saved} --host HOST --database NAME --username USER saves it again; "
            "or name the source by --connection, --request or --host",
            error="NotFound",
        )
    reference = shown_reference(found)
    return Target(reference, read_credentials(reference))


def _shown(mark: dict[str, Any], answer: Any, server: str) -> list[Any]:
    heading = [
        ("server", server),
        ("source", mark["source_table"]),
        ("silver table", mark["silver_table"]),
        ("source rows", answer.source_rows),
        ("silver rows", answer.silver_rows),
        ("newer at the source", answer.newer_rows),
        ("only in silver", _with_examples(answer.only_in_silver, answer.only_in_silver_examples)),
        ("in quarantine", answer.in_quarantine),
        ("columns not compared", ", ".join(answer.not_compared) or None),
        ("rests on", "; ".join(answer.rests_on) or None),
        ("compared by", "key and content" if answer.by_key else "count: the source has no primary key"),
        ("result", "different" if answer.differs else "the same"),
    ]
    shown: list[Any] = [facts(heading)]
    differing = [one for one in answer.ranges if one.differs]
    if differing:
        shown.append(table(_COLUMNS, map(_row, differing)))
    return shown


def _row(one: Any) -> list[Any]:
    keys = f"{', '.join(map(str, one.first))} … {', '.join(map(str, one.last))}"
    sums = [one.source_checksum[:12], one.silver_checksum[:12]]
    return [keys, one.source_rows, one.silver_rows, one.missing, one.changed, *sums, "; ".join(one.examples)]


def _with_examples(count: int, examples: list[str]) -> str:
    return f"{count:,} ({'; '.join(examples)}{' …' if count > len(examples) else ''})" if count else "0"
