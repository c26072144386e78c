"""What a login does not see of a table: masked columns, and rows behind a security policy."""

from collections.abc import Iterator

import pytest

from flowforge.domain.errors import UnsupportedSource
from tests.helpers.loads import READER, Loads, landed

MASKED = (
    "ALTER TABLE {t} ADD mail nvarchar(50) MASKED WITH (FUNCTION = 'email()'), "
    "pay decimal(9,2) MASKED WITH (FUNCTION = 'default()'), "
    "born date MASKED WITH (FUNCTION = 'default()'), name varchar(20) MASKED WITH (FUNCTION = 'partial(1, \"..\", 1)')"
)
VALUES = "UPDATE {t} SET mail = 'ann@bank.example', pay = 12.50, born = '1980-02-03', name = 'Annette'"


@pytest.fixture
def masked(loads) -> Iterator[Loads]:
    made = loads(login=READER)
    made.execute(MASKED, VALUES)
    yield made
    made.execute("REVOKE UNMASK FROM reader", "DROP TABLE {t}")


def test_should_say_each_time_which_columns_landed_as_masks(masked):
    for run in ("r1", "r2"):
        (fact,) = masked.load(run, column=None)
        (note,) = [note for note in fact.notes if "masked" in note]
        assert "mail, pay, born, name" in note and "UNMASK" in note
    row = landed(fact)[0]
    assert (row["mail"], str(row["pay"]), str(row["born"]), row["name"]) == (
        "aXXX@XXXX.com",
        "0.00",
        "1900-01-01",
        "xxxx",  # the server makes it nvarchar, and an expression has the default mask whatever the column's own is
    )
    assert row["id"] in (10, 20, 30)


def test_should_say_nothing_of_masks_to_a_login_that_sees_the_values(masked):
    masked.execute("GRANT UNMASK ON dbo.{t} (mail, born) TO reader")
    (fact,) = masked.load("r1", column=None)
    assert next(note for note in fact.notes if "masked" in note).split(";")[0].endswith(": pay, name")
    assert landed(fact)[0]["mail"] == "ann@bank.example"
    masked.execute("GRANT UNMASK TO reader")
    (fact,) = masked.load("r2", column=None)
    assert not [note for note in fact.notes if "masked" in note]
    assert landed(fact)[0]["name"] == "Annette"


def test_should_refuse_a_masked_cursor_and_a_masked_key(masked):
    masked.execute("ALTER TABLE {t} ADD seen datetime2(3) MASKED WITH (FUNCTION = 'default()')")
    with pytest.raises(UnsupportedSource, match="seen is masked for this login, and is a cursor") as caught:
        masked.load("r1", column="seen")
    assert "GRANT UNMASK" in caught.value.remedy
    command = masked.command("r2", column=None)
    keyed = command.model_copy(update={"silver": command.silver.model_copy(update={"primary_key": ["mail"]})})
    with pytest.raises(UnsupportedSource, match="mail is masked for this login, and is a key"):
        masked.follow(keyed)


@pytest.mark.parametrize("kind", ["view", "query"])
def test_should_say_of_a_query_and_a_view_which_masks_they_may_show(masked, kind):
    text = f"SELECT id, UPPER(mail) AS mail, 'x' AS x FROM {masked.name}"
    masked.execute(f"CREATE VIEW dbo.v_{{t}} AS {text}")
    source = {"table_name": f"v_{masked.name}"} if kind == "view" else {"table_name": None, "query": text}
    (fact,) = masked.load("r1", column=None, **source)
    assert any(f"dbo.{masked.name}.mail" in note for note in fact.notes), fact.notes
    assert {(row["mail"], row["x"]) for row in landed(fact)} == {("xxxx", "x")}
    masked.execute("DROP VIEW dbo.v_{t}")


@pytest.mark.parametrize("kind", ["view", "query"])
def test_should_say_each_time_that_a_view_or_a_query_reads_with_nolock(loads, kind):
    load = loads()
    text = f"SELECT id, at, 'WITH (READPAST)' AS told FROM dbo.{load.name} WITH (NOLOCK)"
    load.execute(f"CREATE VIEW dbo.v_{{t}} AS {text}")
    source = {"table_name": f"v_{load.name}"} if kind == "view" else {"table_name": None, "query": text}
    for run in ("r1", "r2"):
        (fact,) = load.load(run, column=None, **source)
        assert [note for note in fact.notes if "reads with NOLOCK: this load may miss rows" in note], fact.notes
        assert fact.records == 3
    load.execute("DROP VIEW dbo.v_{t}")


POLICY = (
    "CREATE FUNCTION dbo.fn_{t}(@id AS int) RETURNS TABLE WITH SCHEMABINDING AS RETURN "
    "SELECT 1 AS ok WHERE SUSER_SNAME() = 'sa' OR @id < 30",
    "CREATE SECURITY POLICY dbo.p_{t} ADD FILTER PREDICATE dbo.fn_{t}(id) ON dbo.{t} WITH (STATE = ON)",
)
REFRESH = {"load_strategy": "full_refresh"}


@pytest.fixture
def filtered(loads) -> Iterator[Loads]:
    """A table of which the login sees two of three rows."""
    made = loads(login=READER)
    made.execute(*POLICY, "GRANT VIEW DEFINITION TO reader")
    yield made
    made.execute("REVOKE VIEW DEFINITION FROM reader", "DROP SECURITY POLICY dbo.p_{t}")


def refreshing(load: Loads, run: str, **source):
    command = load.command(run, column=None, **source)
    return command.model_copy(update={"bronze": command.bronze.model_copy(update=REFRESH)})


def test_should_say_of_every_load_that_a_policy_may_hide_rows(filtered):
    (fact,) = filtered.load("r1")
    assert fact.records == 2
    assert any("may see a part of the rows" in note and f"[fn_{filtered.name}]([id])" in note for note in fact.notes)
    filtered.execute("ALTER SECURITY POLICY dbo.p_{t} WITH (STATE = OFF)")
    (fact,) = filtered.load("r2", column=None)
    assert fact.records == 3 and not any("part of the rows" in note for note in fact.notes)


def test_should_refuse_to_take_for_deleted_what_a_policy_may_hide(filtered):
    command = refreshing(filtered, "r1")
    replacing = filtered.command("r2", column=None)
    replacing = replacing.model_copy(update={"silver": replacing.silver.model_copy(update={"strategy": "replace"})})
    query = refreshing(filtered, "r3", table_name=None, query=f"SELECT id FROM {filtered.name}")
    for refused in (command, replacing, query):
        with pytest.raises(UnsupportedSource, match="security policy filters rows") as caught:
            filtered.follow(refused)
        assert "acceptPartialView" in caught.value.remedy
    assert filtered.states() == []
    (fact,) = filtered.follow(refreshing(filtered, "r4", accept_partial_view=True))
    assert fact.records == 2 and any("part of the rows" in note for note in fact.notes)
    ignoring = refreshing(filtered, "r5")
    (fact,) = filtered.follow(
        ignoring.model_copy(update={"silver": ignoring.silver.model_copy(update={"deletes": "ignore"})})
    )
    assert fact.records == 2


def test_should_say_where_a_login_cannot_see_policies(filtered):
    filtered.execute("REVOKE VIEW DEFINITION FROM reader")
    (fact,) = filtered.follow(refreshing(filtered, "r1"))
    assert fact.records == 2
    assert any("GRANT VIEW DEFINITION shows it" in note for note in fact.notes), fact.notes


def test_should_bring_every_other_value_beside_what_is_derived_of_a_masked_column(loads):
    """An expression over a masked column is masked as a whole: in one line with others it would take their values with it."""
    load = loads(login=READER)
    load.execute(
        "ALTER TABLE {t} ADD seen datetimeoffset(3) MASKED WITH (FUNCTION = 'default()'), note nvarchar(20)",
        "UPDATE {t} SET seen = '2024-02-29 12:00:00 +02:00', note = 'kept'",
    )
    (fact,) = load.load("r1", column=None, derived_columns=["offset"])
    (note,) = [note for note in fact.notes if "masked" in note]
    assert ": seen;" in note
    assert {(row["note"], row["seen_offset_minutes"]) for row in landed(fact)} == {("kept", 0)}
