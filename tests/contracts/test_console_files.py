"""The console's files: small in all, each listed and linked, and with no way for a text to become markup."""

import gzip
import re

from flowforge.console.pages import FILES, FOLDER, page
from flowforge.domain.given import given

MOST_BYTES = 45 * 1024  # of all files, each compressed as a server would send it
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\b|new Function"
)
IMPORTED = re.compile(r'from "\./([\w.]+)"')


def test_should_stay_small_in_all():
    sizes = {path: len(gzip.compress(given(page(path)).content, 9)) for path in FILES}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_should_list_each_file_and_no_other():
    assert set(FILES.values()) == {path.name for path in FOLDER.iterdir()}


def test_should_import_listed_files_only_and_make_no_markup_of_texts():
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert {f"/console/{name}" for name in IMPORTED.findall(text)} <= set(FILES), path.name
        assert not MARKUP.search(text), path.name
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text, path.name
