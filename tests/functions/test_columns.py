"""Which columns of a table land: what cannot be read, or would meet another name, is refused by name or left out on request."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from events.request import InvalidRequest, parse_job_request
from events.sample_messages import FULL
from flowforge.domain.errors import UnknownColumn, UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.source_columns import SourceColumn
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.catalog_columns import readable_columns
from flowforge.sources.sqlserver.loadable import refuse_clashes
from flowforge.state import batch_records
from tests.helpers.loads import Loads, keep_login, landed
from tests.helpers.standin import StandIn, start, stop

ENCRYPTED = (
    "ALTER TABLE {t} ADD ssn varchar(11) ENCRYPTED WITH (COLUMN_ENCRYPTION_KEY = k, ENCRYPTION_TYPE = DETERMINISTIC, "
    "ALGORITHM = 'AEAD_AES_256_CBC_HMAC_SHA_256') NULL, note nvarchar(20)"
)


def test_should_refuse_an_encrypted_column_by_name_unless_it_is_left_out(loads):
    load = loads()
    load.execute(ENCRYPTED, "UPDATE {t} SET note = 'n'")
    with pytest.raises(
        UnsupportedSource, match=r"column 'ssn' \(varchar\): it is encrypted by Always Encrypted"
    ) as caught:
        load.load("r1")
    assert "databaseConfig.columns.exclude" in caught.value.remedy
    assert load.states() == []
    (fact,) = load.load("r2", excluded_columns=["SSN"])
    assert [list(row)[:3] for row in landed(fact)] == [["id", "at", "note"]] * 3


def test_should_carry_every_unique_key_with_the_batch_and_in_its_objects(loads):
    """By these silver knows that two rows with one key are two spellings of it, whichever of the keys a request names."""
    load = loads()
    load.execute("ALTER TABLE {t} ADD code nvarchar(20)", "CREATE INDEX other ON {t} (code)")
    load.execute("CREATE UNIQUE INDEX by_code ON {t} (code, at)")
    load.load("r1")
    (batch,) = batch_records.history(load.key)
    assert sorted(given(batch.manifest).unique_keys) == [["code", "at"], ["id"]]
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    assert [given(one.manifest).unique_keys for one in rebuilt.batches] == [given(batch.manifest).unique_keys]


def test_should_leave_out_no_key_no_cursor_and_no_column_that_is_not_there(loads):
    load = loads()
    for name in ("id", "AT"):
        with pytest.raises(UnsupportedSource, match="is a key or a cursor"):
            load.load("r1", excluded_columns=[name])
    with pytest.raises(UnknownColumn, match="no column 'nope'"):
        load.load("r1", excluded_columns=["nope"])


def test_should_take_excluded_columns_of_tables_only():
    document = FULL | {
        "source_config": FULL["source_config"]
        | {"databaseConfig": {"query": "SELECT 1 AS a", "columns": {"exclude": ["a"]}}}
    }
    document["destination_config"] = {"bronzeConfig": {"tableName": "q"}}
    with pytest.raises(InvalidRequest, match="name the columns in the query's SELECT"):
        parse_job_request(document)


@pytest.mark.parametrize(
    ("column", "told"),
    [("_seq", "has the name of one that FlowForge adds"), ("_Batch_ID", "has the name of one that FlowForge adds"),
     ("_is_deleted", "has the name of one that FlowForge adds")],
)  # fmt: skip
def test_should_refuse_a_column_that_is_named_like_one_of_ours(loads, column, told):
    load = loads()
    load.execute(f"ALTER TABLE {{t}} ADD {column} int")
    with pytest.raises(UnsupportedSource, match=told) as caught:
        load.load("r1")
    assert column in str(caught.value) and "AS another" in caught.value.remedy
    assert load.states() == []
    query = f"SELECT id, {column} AS renamed FROM {load.name}"
    (fact,) = load.load("r2", column=None, table_name=None, query=query)
    assert list(landed(fact)[0])[:2] == ["id", "renamed"]
    with pytest.raises(UnsupportedSource, match="the query: the column"):
        load.load("r3", column=None, table_name=None, query=query.replace("renamed", column))


def test_should_refuse_columns_that_differ_by_case_only():
    columns = [SourceColumn(name=name, sql_type="int") for name in ("id", "Code", "code")]
    with pytest.raises(UnsupportedSource, match="'Code' and 'code' differ by case only") as caught:
        refuse_clashes(columns, True, "dbo.t", is_query=False)
    assert "[code] AS another" in caught.value.remedy and "exclude" in caught.value.remedy
    refuse_clashes(columns[:2], True, "dbo.t", is_query=False)


@pytest.fixture(scope="module")
def newer(server) -> Iterator[StandIn]:
    """A server of 2025, with the certificate of the other."""
    started = start(server.ca_file.parent, "--release", "2025")
    keep_login("newer/sa", "sa", started.port)
    yield started
    stop(started)


@pytest.fixture
def on_newer(newer, loads) -> Loads:
    load = loads()
    there = {"port": newer.port, "secret_id": "newer/sa"}
    return replace(load, server=newer, connection=load.connection.model_copy(update=there))


def test_should_land_json_as_text_and_refuse_vectors_by_name(on_newer):
    on_newer.execute(
        "CREATE TABLE {t} (id int PRIMARY KEY, doc json, v vector(3))",
        """INSERT INTO {t} (id, doc) VALUES (1, N'{{"a": "é"}}')""",
    )
    with pytest.raises(UnsupportedSource, match=r"column 'v' \(vector\)"):
        on_newer.load("r1", column=None)
    (fact,) = on_newer.load("r2", column=None, excluded_columns=["v"])
    assert landed(fact)[0]["doc"] == '{"a": "é"}'


@pytest.mark.parametrize(
    ("type_name", "base_name", "user_defined", "assembly", "expected"),
    [
        ("Money2", None, True, True, "money2 (a CLR type)"),  # a CLR type by the name of another
        ("money", None, True, True, "money (a CLR type)"),
        ("vector", "varbinary", False, False, "vector"),  # kept as varbinary, and is none
        ("name_type", "nvarchar", True, False, None),  # an alias
        ("sysname", "nvarchar", False, False, None),
    ],
)
def test_should_take_a_type_by_its_own_name_unless_it_is_an_alias(
    type_name, base_name, user_defined, assembly, expected
):
    row = {
        "name": "c",
        "column_id": 1,
        "max_length": 40,
        "precision": 0,
        "scale": 0,
        "is_nullable": True,
        "is_identity": False,
    }
    row |= {"is_computed": False, "collation_name": None, "type_name": type_name, "base_name": base_name}
    row |= {"is_user_defined": user_defined, "is_assembly_type": assembly}
    columns, unreadable = readable_columns([row])
    assert [column.sql_type for column in columns] == ([] if expected else ["nvarchar(20)"])
    assert [column.sql_type for column in unreadable] == ([expected] if expected else [])


def test_should_land_what_a_point_has_beside_x_and_y(loads):
    load = loads()
    load.execute(
        "ALTER TABLE {t} ADD place geometry",
        "UPDATE {t} SET place = geometry::STGeomFromText('POINT (1 1 2 3)', 0) WHERE id = 10",
        "UPDATE {t} SET place = geometry::STGeomFromText('POINT (1 1)', 0) WHERE id = 20",
    )
    (fact,) = load.load("r1", column=None)
    found = {row["id"]: row["place"] and row["place"].hex().upper() for row in landed(fact)}
    one, two, three = "000000000000F03F", "0000000000000040", "0000000000000840"
    assert found == {10: f"01B90B0000{one}{one}{two}{three}", 20: f"0101000000{one}{one}", 30: None}
