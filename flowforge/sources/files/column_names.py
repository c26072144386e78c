"""The names of columns that no request names: as the file writes them, or as slugs.

Guarantees: two fields never share a name, and none loses its own unseen: what would is refused with both of them.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from events.files import ColumnNames, FileColumn
from flowforge.domain.errors import UnsupportedSource

LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "\u0131": "i", "ħ": "h"}
)
REMEDY = "give columns in the request, with a name for each such field (`flowforge files inspect FILE` prints them)"


def slug(text: str) -> str:
    """A text in a-z, 0-9 and _: in small letters, without accents; each run of other signs is one _, none at an end; one stands
    before a digit that comes first. Empty where nothing is left."""
    small = unicodedata.normalize("NFKD", text.lower()).translate(LETTERS)
    ascii_only = "".join(sign for sign in small if not unicodedata.combining(sign))
    found = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")
    return f"_{found}" if found[:1].isdigit() else found


def refuse_nameless(fields: Iterable[str], where: str) -> None:
    """Raises UnsupportedSource for a field whose name is empty or blanks, which no column could have."""
    if not all(field.strip() for field in fields):
        raise UnsupportedSource(
            f"{where}: a field has no name, or one of blanks only",
            "name it in the file; or give columns of the others in the request, with unknownColumns rescue",
        )


def with_names(
    columns: Iterable[FileColumn], names: ColumnNames, where: str, others: Sequence[FileColumn] = ()
) -> list[FileColumn]:
    """The columns, named by their fields; `others` have theirs. Raises UnsupportedSource for names that cannot be."""
    columns = list(columns)
    refuse_nameless([one.field for one in columns], where)
    if names == "as_written":
        return [one.model_copy(update={"name": one.field}) for one in columns]
    seen, found = {one.name.lower(): one for one in others}, list[FileColumn]()
    for one in columns:
        name = slug(one.field)
        if not name:
            raise UnsupportedSource(f"{where}: nothing of the field {one.field!r} is left in a slug", REMEDY)
        if (other := seen.setdefault(name, one)) is not one:
            also = f"the column {other.name!r} has" if other in others else f"the field {other.field!r} has, too"
            raise UnsupportedSource(
                f"{where}: the field {one.field!r} would have the name {name}, which {also}", REMEDY
            )
        found.append(one.model_copy(update={"name": name}))
    return found
