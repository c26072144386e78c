"""What DuckDB looks for in Python and does not find: it asks for pandas twice for each value that is bound, and each time all
folders of the path are searched, 0.1 ms; a CREATE TABLE here binds a hundred values."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class WithoutPandas(MetaPathFinder):
    """Says at once that there is no pandas."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used here", name=fullname)
        return None


def do_without_pandas() -> None:
    """For this process, which must be the server's own."""
    sys.meta_path.insert(0, WithoutPandas())
