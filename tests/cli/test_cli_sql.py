"""`flowforge sql`: reads the lake itself, on a real S3 server, with the credentials of the running stack."""

import pytest

from tests.helpers.lake_server import serving_table


@pytest.fixture(scope="module")
def s3():
    """A server with one gold table."""
    rows = "SELECT 1 AS id, 12.50::DECIMAL(15, 2) AS amount UNION ALL SELECT 2, NULL ORDER BY 1"
    with serving_table("lake-of-cli", "gold/payments", rows) as url:
        yield url


def test_should_answer_a_query_with_exact_values(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-cli")
    ended = alone("sql", "SELECT * FROM gold.payments ORDER BY id", "--json")

    assert ended.code == 0
    assert ended.document["columns"] == ["id", "amount"]
    assert ended.document["rows"] == [[1, "12.50"], [2, None]]


def test_should_answer_in_a_table(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-cli")
    ended = alone("sql", "SELECT sum(amount) AS total FROM gold.payments")

    assert ended.code == 0
    assert "total" in ended.out
    assert "12.50" in ended.out


def test_should_name_the_tables_there_are_when_one_is_missing(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-cli")
    ended = alone("sql", "SELECT * FROM gold.nothing", "--json")

    assert (ended.code, ended.document["error"]) == (1, "NotFound")
    assert "gold.payments" in ended.document["remedy"]


def test_should_only_read(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-cli")

    assert alone("sql", "DROP TABLE gold.payments", "--json").document["error"] == "QueryRefused"
    assert alone("sql", "SELECT", "--json").code == 1


def test_should_ask_which_lake_when_none_is_known(alone):
    assert alone("sql", "SELECT 1").code == 2


def test_should_show_a_row_per_block_where_a_table_has_no_room(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-cli")
    wide = "SELECT 'a long text in the first column' AS one, 'and another in the second' AS two"

    narrow, pipe = alone("sql", wide, env={"COLUMNS": "40"}), alone("sql", wide)

    assert narrow.out.splitlines()[0].split() == ["row", "1"]
    assert pipe.out.splitlines()[0].split() == ["one", "two"]
