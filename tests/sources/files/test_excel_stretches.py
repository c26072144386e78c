"""Long sheets: most of their rows are read by a pattern, which says what the elements' events would."""

import random

import pytest
from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from flowforge.domain.errors import UnsupportedSource
from tests.helpers.workbooks import edited, read, saved

STRINGS = "xl/sharedStrings.xml"
TEXTS = (
    "a",
    "é",
    "&amp;&#65;&#x1F600;",
    "_x0041_",
    "_x0000_",
    "  ",
    "x\r\ny\rz",
    "NULL",
    ">",
    "",
)
NUMBERS = ("0", "-5", "1.10", "1.1000000000000001", "1E-3", "1e999", "", "45292.5", "60", "1234567890123456789", "x")
FORMULAS = ("", "", "", "<f>A1+1</f>", '<f t="shared" si="0"/>', "<f/>")
ODD = (
    "<v>1<!-- </row> -->2</v>",
    "<v/>",
    "<v><![CDATA[</row>]]></v>",
    "\n<v>3</v>\n",
    "<v>4</v><v>5</v>",
    '<v xmlns="other">6</v>',
    "<is><t>7</t></is>",
)
HIDDEN = '<row r="7"><c r="A7"><v>7</v></c></row>'


def cell(drawn: random.Random, address: str, is_odd: bool) -> str:
    """A cell as programs write them, or as few do."""
    text, formula = drawn.choice(TEXTS), drawn.choice(FORMULAS)
    head = f'<c r="{address}"' + drawn.choice(("", ' s="0"', ' s="1"'))
    if is_odd:
        return f"{head}>{formula}{drawn.choice(ODD)}</c>"
    match drawn.randrange(6):
        case 0:
            return f'{head} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
        case 1:
            return f'{head} t="s"><v>{drawn.randrange(-1, 201)}</v></c>'
        case 2:
            return f'{head} t="str">{formula}<v>{text}</v></c>'
        case 3:
            return f'{head} t="{drawn.choice("bez")}"><v>{drawn.randrange(3)}</v></c>'
        case 4:
            return drawn.choice((f"{head}/>", f"{head} />", f"{head}></c>", f"{head}>{formula}</c>", ""))
    return f"{head}>{formula}<v>{drawn.choice(NUMBERS)}</v></c>"


def sheet(drawn: random.Random, rows: int, odd: float) -> str:
    found, line = [], 1
    for _ in range(rows):
        line += 1
        if drawn.random() < 0.1:
            found.append(f'<row r="{line}" ht="9.5"/>\n')
        elif drawn.random() < 0.1:
            found.append("<row><c><v>8</v></c></row>")
        else:
            columns = drawn.choice(("ABC", "ABC", "AC", "BA", "AAB", "ABCD"))
            cells = (cell(drawn, f"{letter}{line}", drawn.random() < odd) for letter in columns)
            found.append(f'<row r="{line}" spans="1:3" x:d="0.25">{"".join(cells)}</row>')
    return "".join(found)


def shared(drawn: random.Random) -> str:
    kinds = ["<si><t>{}</t></si>", "<si><r><t>{}</t></r><r><t>b</t></r><rPh><t>no</t></rPh></si>", "<si/>"]
    items = (drawn.choices(kinds, [99, drawn.choice([0, 1]), 1])[0] for _ in range(199))
    return "".join(item.format(drawn.choice(TEXTS) + "x" * 400) for item in items)


@pytest.mark.parametrize("seed", range(6))
def test_should_read_rows_alike_by_a_pattern_and_by_their_events(seed: int) -> None:
    drawn = random.Random(seed)
    rows, items = sheet(drawn, 2_000, odd=0.001 if seed % 2 else 0), shared(drawn)
    empty, found = saved(["a", "b", "c"], epoch=MAC_EPOCH if seed % 3 else None), []
    for encoding in ("utf-8", "utf-16"):  # no pattern reads the latter
        body = edited(
            empty,
            lambda text: text.replace("<worksheet ", '<worksheet xmlns:x="x" ').replace(
                "</sheetData>", f"{rows}</sheetData>"
            ),
            encoding=encoding,
            more={STRINGS: f'<sst xmlns="{SHEET_MAIN_NS}"><si><t>h</t></si>{items}</sst>'.encode(encoding)},
            types=f'<Override PartName="/{STRINGS}" ContentType="{SHARED_STRINGS}"/>',
        )
        found.append(read(body))
    assert found[0] == found[1]
    assert len(found[0][0]) > 300 and len(found[0][1]) > 300


def test_should_read_a_prefix_of_names_as_none() -> None:
    rows = "".join(f'<row r="{line}"><c r="A{line}"><v>{line}</v></c></row>' for line in range(2, 2_000))
    body = edited(saved(["a"]), lambda text: text.replace("</sheetData>", f"{rows}</sheetData>"))
    prefixed = edited(
        body,
        lambda text: text.replace("</", "<#").replace("<", "<x:").replace("<x:#", "</x:").replace("xmlns=", "xmlns:x="),
    )
    assert read(prefixed) == read(body)
    assert [row[0] for row in read(body)[0]] == [str(line) for line in range(2, 2_000)]


@pytest.mark.parametrize("shift", range(len(HIDDEN)))
def test_should_take_no_row_of_a_comment_wherever_the_reads_end(shift: int) -> None:
    body = edited(
        saved(["a"], [1]),
        lambda text: text.replace("</sheetData>", f"<!--{'x' * shift}{HIDDEN * 20_000}--></sheetData>"),
    )
    assert read(body)[0] == [["1", 1]]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ('<row r="9000"><c r="A9000"><v>&nope;</v></c></row>', "undefined entity"),
        ('<row r="9000"><c r="A9000"><v>&#0;</v></c></row>', "reference to invalid character number"),
        ('<row r="9000"><c r="A9000"><v>\x01</v></c></row>', "not well-formed"),
        ('<row r="9000"><c r="A9000"><v>1</is></c></row>', "mismatched tag"),
        ('<row r="5"><c r="A5"><v>1</v></c></row>', "row 5 stands behind row 2,999"),
        ('<row r="9000"><row r="9001"><c r="A9001"><v>1</v></c></row></row>', "an element row within another"),
        (f"{'<x>' * 300}{'</x>' * 300}", "more than 256 elements within each other"),
    ],
)
def test_should_refuse_what_is_wrong_far_below(row: str, error: str) -> None:
    rows = "".join(f'<row r="{line}"><c r="A{line}"><v>{line}</v></c></row>' for line in range(2, 3_000))
    body = edited(saved(["a"]), lambda text: text.replace("</sheetData>", f"{rows}{row}</sheetData>"))
    with pytest.raises(UnsupportedSource, match=error):
        read(body)
