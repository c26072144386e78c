"""What somebody may have meant by a name that is not there."""

import difflib
from collections.abc import Iterable

MOST_NAMED = 20


def meant(name: str, known: Iterable[str], none: str) -> str:
    """A sentence with those of the known names whose last part is like this one's, else with the first of all; `none` where there
    are none."""
    names = sorted(set(known))
    if not names:
        return none
    by_last: dict[str, list[str]] = {}
    for one in names:
        by_last.setdefault(_last(one), []).append(one)
    near = difflib.get_close_matches(_last(name), by_last, n=3, cutoff=0.75)
    if found := [one for last in near for one in by_last[last]]:
        return f"did you mean {', '.join(found[:5])}?"
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"there are: {', '.join(names[:MOST_NAMED])}{more}"


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1].lower()
