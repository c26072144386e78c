"""The files that a job means, which of them are new, and the order they are applied in.

Guarantees: what is new is decided by content (ETag and size) and by what the ledger has taken, never by a time: a copy with an
old date, or a file that a listing showed late, is found. An empty file is told and not taken; its later content is new.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from flowforge.aws.stored_files import find_file, list_files
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.file_version import FileVersion

Order = Literal["name", "arrival", "date"]
Place = tuple[str, str]
WILD = re.compile(r"\*\*/?|[*?]")
LETTERS = {"y": r"(?P<y>\d{4})", "M": r"(?P<M>\d\d)", "d": r"(?P<d>\d\d)", "H": r"(?P<H>\d\d)", "m": r"(?P<m>\d\d)"}
LETTERS |= {"s": r"(?P<s>\d\d)"}
DATE = re.compile(r"yyyy|MM|dd|HH|mm|ss")


class NewFile(NamedTuple):
    """A version that is to be loaded; `before` is the one that the table has taken of the same file."""

    file: FileVersion
    before: FileVersion | None


class NewFiles(NamedTuple):
    """What a listing has of files that were not taken; `notes` tell what of it is left out or looks the same."""

    files: list[NewFile]
    notes: list[str]


def named_files(bucket: str, keys: Iterable[str]) -> Iterator[FileVersion]:
    """The files of these keys, each once; raises UnsupportedSource for one that is not there."""
    for key in dict.fromkeys(keys):
        found = find_file(bucket, key)
        if found is None:
            raise UnsupportedSource(f"there is no s3://{bucket}/{key}", "name a file that is there")
        yield found


def matching_files(bucket: str, pattern: str) -> Iterator[FileVersion]:
    """The files whose keys fit: `*` and `?` stand for characters but `/`, `**` for folders, too."""
    wild = WILD.search(pattern)
    expression = re.compile(_expression(pattern), re.DOTALL)
    for found in list_files(bucket, pattern[: wild.start()] if wild else pattern):
        if expression.fullmatch(found.key):
            yield found


def fits(pattern: str, key: str) -> bool:
    """Whether `matching_files` would find a file of this key."""
    return re.fullmatch(_expression(pattern), key, re.DOTALL) is not None


def find_new(found: Iterable[FileVersion], taken: Mapping[Place, FileVersion]) -> NewFiles:
    """What of `found` the table has not taken; `taken` is the newest version that it has of each file."""
    files, notes = [], []
    names = {(one.etag, one.size): one.address for one in taken.values()}
    for one in found:
        before = taken.get(one.place)
        if before is not None and before.is_same_content(one):
            continue
        if not one.size:
            notes.append(f"{one.address} is empty (0 bytes): it is loaded once it has content")
            continue
        if (other := names.setdefault((one.etag, one.size), one.address)) != one.address:
            notes.append(f"{one.address} has the content of {other}: both are loaded")
        files.append(NewFile(one, before))
    return NewFiles(files, notes)


def was_refused(file: FileVersion, refused: Mapping[Place, FileVersion]) -> bool:
    """Whether this very content is among what was refused."""
    before = refused.get(file.place)
    return before is not None and before.is_same_content(file)


def sorted_by(order: Order, files: Iterable[NewFile], date_pattern: str = "yyyyMMdd") -> list[NewFile]:
    """The files in the order of their keys, of their arrival (then keys: S3 tells seconds), or of a date in their names
    (then keys). Raises UnsupportedSource where a name has no such date, or two."""
    place = placing(order, date_pattern)
    return sorted(files, key=lambda one: place(one.file))


def placing(order: Order, date_pattern: str = "yyyyMMdd") -> Callable[[FileVersion], tuple[str, str]]:
    """What tells a file's place in an order; asked of a name without such a date it raises UnsupportedSource."""
    places: dict[Order, Callable[[FileVersion], tuple[str, str]]] = {
        "name": lambda file: ("", file.key),
        "arrival": lambda file: (file.modified, file.key),
        "date": lambda file: (_date_in(file, date_pattern), file.key),
    }
    return places[order]


def follows(order: Order, date_pattern: str = "yyyyMMdd") -> Callable[[FileVersion, FileVersion], bool]:
    """Tells whether the first of two files comes after the second, which may be loaded already. Of arrivals in the same second
    neither does: S3 tells no more, and the one that was found later may well have come later."""
    if order == "arrival":
        return lambda one, other: one.modified > other.modified
    place = placing(order, date_pattern)
    return lambda one, other: place(one) > place(other)


def next_part(files: list[NewFile], most_files: int, most_bytes: int) -> list[NewFile]:
    """The first files, as many as one batch takes: one at least, however large it is."""
    size = 0
    for count, one in enumerate(files):
        size += one.file.size
        if count and (count == most_files or size > most_bytes):
            return files[:count]
    return files


def _expression(pattern: str) -> str:
    parts, at = [], 0
    for wild in WILD.finditer(pattern):
        parts.append(re.escape(pattern[at : wild.start()]))
        parts.append({"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?"}[wild.group()])
        at = wild.end()
    return "".join([*parts, re.escape(pattern[at:])])


def _date_in(file: FileVersion, pattern: str) -> str:
    """The date in a file's name, as digits that sort."""
    name = file.key.rpartition("/")[2]
    at, parts = 0, []
    for one in DATE.finditer(pattern):
        parts += [re.escape(pattern[at : one.start()]), LETTERS[one.group()[0]]]
        at = one.end()
    expression = "".join([*parts, re.escape(pattern[at:])])
    found = {_digits(match) for match in re.finditer(rf"(?<!\d){expression}(?!\d)", name)}
    if len(found) != 1:
        problem = "two dates" if found else "no date"
        raise UnsupportedSource(
            f"{file.address} has {problem} of the form {pattern} in its name, by which the job orders its files",
            "Name it like the others, or have the job order its files by name or arrival.",
        )
    return found.pop()


def _digits(match: re.Match[str]) -> str:
    found = match.groupdict()
    return "".join(found.get(letter) or "" for letter in "yMdHms")
