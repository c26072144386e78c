"""Pipelines as files: what `flowforge apply` reads from a folder, checked as a whole before anything is done.

    connections/<id>.json       host, port, database, username, …; `password` names where it is: {"env": NAME} or {"file": PATH}
    workflows/<name>.json       title, about, request: the form of templates, the connection left open or named by its id
    schedules/<name>.json       when the workflow of the same file name starts, and with which `connection`
    models/<gold table>.sql     gold models, their settings and rules in comments

A folder that is not there is not managed: what the deployment has of its kind is left alone. Guarantees: every mistake of every
file is told at once, each with its file and field; no value is repeated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from events.api.connections import SavedConnection
from events.api.schedules import NewSchedule
from events.documents import Unreadable, read_json
from events.redaction import redacted
from events.request import InvalidRequest, JobRequest, as_today, mistakes_of, parse_job_request
from flowforge.cli.failure import BadRequest
from flowforge.cli.pipelines import ConnectionFile, Mistake, PasswordPlace, Pipelines, ScheduleFile, WorkflowFile
from flowforge.domain.due_times import read_cron, read_rate
from flowforge.jobs.model_texts import with_text_of_models

_Model = TypeVar("_Model", bound=BaseModel)
KINDS = {"connections": ".json", "workflows": ".json", "schedules": ".json", "models": ".sql"}
LAYOUT = "a folder of pipelines holds connections/, workflows/ and schedules/ with NAME.json, and models/ with NAME.sql"
INLINE = 'a file holds no password: give {"env": "NAME"} for a variable, or {"file": "PATH"}'
OPEN = (
    "expected a connectionId alone, or none: what a connection is stands below connections/, and a schedule may name it"
)


def read_pipelines(folder: Path) -> Pipelines:
    """What a folder says; BadRequest with every mistake of its files."""
    mistakes: list[Mistake] = []
    files = _files(folder, mistakes)
    found = Pipelines(managed=set(files))
    for path in files.get("connections", []):
        _connection(found, path, mistakes)
    requests = {path.stem: _workflow(path, mistakes) for path in files.get("workflows", [])}
    for path in files.get("schedules", []):
        _schedule(found, path, requests, mistakes)
    scheduled = {path.stem for path in files.get("schedules", [])}
    found.unscheduled = sorted(set(requests) - scheduled)
    for path in files.get("models", []):
        _model(found, path, mistakes)
    refuse(mistakes)
    return found


def refuse(mistakes: list[Mistake]) -> None:
    """Raises BadRequest where there are mistakes."""
    if mistakes:
        raise BadRequest(
            "nothing was applied: not every file is right", "mend the files, then apply again", mistakes=mistakes
        )


def _files(folder: Path, mistakes: list[Mistake]) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder", LAYOUT)
    found: dict[str, list[Path]] = {}
    for path in _shown(folder):
        if path.is_dir() and path.name in KINDS:
            found[path.name] = [one for one in _shown(path) if _fits(one, KINDS[path.name], mistakes)]
        else:
            mistakes.append(_mistake(path.name, "", f"is nothing that is applied: {LAYOUT}"))
    if not found and not mistakes:
        raise BadRequest(f"{folder} holds no pipelines", LAYOUT)
    return found


def _shown(folder: Path) -> Iterator[Path]:
    """What is in a folder but hidden names and notes."""
    return (path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.suffix != ".md")


def _fits(path: Path, suffix: str, mistakes: list[Mistake]) -> bool:
    fits = path.is_file() and path.suffix == suffix
    if not fits:
        mistakes.append(
            _mistake(_name(path), "", f"is nothing that is applied: {path.parent.name}/ holds NAME{suffix}")
        )
    return fits


def _connection(found: Pipelines, path: Path, mistakes: list[Mistake]) -> None:
    document, own = _object(path, mistakes), len(mistakes)
    if document is None:
        return
    if "id" in document:
        mistakes.append(_mistake(_name(path), "id", "is the file's name: leave it out"))
    given = {name: value for name, value in document.items() if name not in ("id", "password")}
    saved = _checked(path, mistakes, SavedConnection, {"id": path.stem, **given, "password": "x"})
    place = None
    if not isinstance(document.get("password"), dict):
        mistakes.append(_mistake(_name(path), "password", INLINE))
    else:
        place = _checked(path, mistakes, PasswordPlace, document["password"], "password")
        if place is not None and (place.env is None) == (place.file is None):
            mistakes.append(_mistake(_name(path), "password", INLINE))
    if saved is not None and place is not None and len(mistakes) == own:
        fields = saved.model_dump(exclude={"id", "password"})
        found.connections[path.stem] = ConnectionFile(_name(path), fields, place, path.parent)


def _workflow(path: Path, mistakes: list[Mistake]) -> dict[str, Any] | None:
    """The request of a workflow's file; None where it is wrong."""
    document, own = _object(path, mistakes), len(mistakes)
    if document is None:
        return None
    read = _checked(path, mistakes, WorkflowFile, document)
    if read is None:
        return None
    request = with_text_of_models(read.request)
    source = request.get("source_config")
    if isinstance(source, dict):
        named = source.get("connection")
        if named is not None and (not isinstance(named, dict) or set(named) != {"connectionId"}):
            mistakes.append(_mistake(_name(path), "request.source_config.connection", OPEN))
            return None
        is_open = named is None and _is_database(request)
        parsed = _parsed(path, _connected(request, "connection") if is_open else request, mistakes)
        if parsed is not None and parsed.batch_id is not None:
            mistakes.append(_mistake(_name(path), "request.batch_id", "names the objects of one run: leave it out"))
    else:
        _parsed(path, request, mistakes)
    return request if len(mistakes) == own else None


def _schedule(
    found: Pipelines, path: Path, requests: dict[str, dict[str, Any] | None], mistakes: list[Mistake]
) -> None:
    document, own = _object(path, mistakes), len(mistakes)
    if document is None:
        return
    when = {name: value for name, value in document.items() if name != "connection"}
    if "request" in when:
        mistakes.append(_mistake(_name(path), "request", f"is in workflows/{path.name}: leave it out"))
    wanted = _checked(path, mistakes, NewSchedule, when | {"request": {}})
    if wanted is not None and not wanted.after:
        _due(path, wanted, mistakes)
    if path.stem not in requests:
        problem = f"there is no workflows/{path.name}: a schedule starts the workflow of its own file name"
        mistakes.append(_mistake(_name(path), "", problem))
    request, connection = requests.get(path.stem), document.get("connection")
    if request is None or wanted is None:
        return
    named = request["source_config"].get("connection")
    if not _is_database(request):
        if connection is not None:
            mistakes.append(_mistake(_name(path), "connection", "the workflow's source is files, which have none"))
    elif named is None and (not isinstance(connection, str) or not connection):
        problem = "missing: name a connection's id here, or connectionId in the workflow's source_config.connection"
        mistakes.append(_mistake(_name(path), "connection", problem))
    elif named is not None and connection is not None:
        mistakes.append(_mistake(_name(path), "connection", "the workflow names one already: leave one of both out"))
    else:
        request = request if named is not None else _connected(request, str(connection))
        connection = request["source_config"]["connection"]["connectionId"]
    workflow = request["workflow_id"]
    if workflow in found.schedules:
        problem = f"is that of {found.schedules[workflow].file}, too: a workflow has one schedule"
        mistakes.append(_mistake(f"workflows/{path.name}", "request.workflow_id", problem))
    if len(mistakes) == own:
        kept = redacted(as_today(request)[0], JobRequest, everywhere=False)
        told = wanted.model_dump(exclude={"request"})
        found.schedules[workflow] = ScheduleFile(_name(path), told, kept, connection)


def _due(path: Path, wanted: NewSchedule, mistakes: list[Mistake]) -> None:
    try:
        read_rate(wanted.rate) if wanted.rate else read_cron(wanted.cron or "", wanted.timezone)
    except ValueError as error:
        name = "rate" if wanted.rate else "timezone" if "time zone" in str(error) else "cron"
        mistakes.append(_mistake(_name(path), name, str(error)))


def _model(found: Pipelines, path: Path, mistakes: list[Mistake]) -> None:
    try:
        found.models[path.stem] = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        mistakes.append(_mistake(_name(path), "", f"is not in UTF-8 (byte {error.start})"))
    except OSError as error:
        mistakes.append(_mistake(_name(path), "", f"cannot be read: {error.strerror or error}"))


def _object(path: Path, mistakes: list[Mistake]) -> dict[str, Any] | None:
    try:
        document = read_json(path.read_bytes())
    except (OSError, Unreadable) as error:
        mistakes.append(_mistake(_name(path), "", str(error)))
        return None
    if not isinstance(document, dict):
        mistakes.append(_mistake(_name(path), "", "expected a JSON object"))
        return None
    return document


def _checked(
    path: Path, mistakes: list[Mistake], model: type[_Model], document: Any, prefix: str = ""
) -> _Model | None:
    from events.request.near_fields import with_hints

    try:
        return model.model_validate(document)
    except ValidationError as error:
        for one in with_hints(mistakes_of(error), model):
            field = one["field"]
            if prefix:
                field = prefix if field == "(document)" else f"{prefix}.{field}"
            mistakes.append(_mistake(_name(path), field, one["problem"]))
        return None


def _parsed(path: Path, request: dict[str, Any], mistakes: list[Mistake]) -> JobRequest | None:
    try:
        return parse_job_request(request)
    except InvalidRequest as error:
        mistakes += [_mistake(_name(path), f"request.{one['field']}", one["problem"]) for one in error.mistakes]
        return None


def _is_database(request: dict[str, Any]) -> bool:
    return request.get("source_type") != "file"


def _connected(request: dict[str, Any], connection: str) -> dict[str, Any]:
    return request | {"source_config": request["source_config"] | {"connection": {"connectionId": connection}}}


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _mistake(file: str, name: str, problem: str) -> Mistake:
    return {"field": f"{file}: {name}" if name and name != "(document)" else file, "problem": problem}
