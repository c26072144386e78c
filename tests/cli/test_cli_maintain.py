"""`flowforge maintain`, and `flowforge sql --as-of`: on a real S3 server, with the credentials of the running stack."""

import pytest

from tests.helpers.lake_server import serving_table


@pytest.fixture(scope="module")
def s3():
    """A server with one table of three small files."""
    with serving_table("lake-of-upkeep", "silver/payments", *(f"SELECT {n} AS id" for n in range(3))) as url:
        yield url


def test_should_travel_in_time_and_say_what_cannot_be_asked(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-upkeep")
    count = "SELECT count(*) AS n FROM silver.payments"
    assert alone("sql", count, "--as-of", "1", "--json").document["rows"] == [[2]]
    assert alone("sql", count, "--as-of", "2999-01-01", "--json").document["rows"] == [[3]]
    assert alone("sql", count, "--as-of", "2001-01-01", "--json").document["error"] == "NotFound"
    wrong = alone("sql", count, "--as-of", "yesterday")
    assert (wrong.code, "neither a version nor a time" in wrong.err) == (2, True)


def test_should_merge_small_files_and_show_figures(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-upkeep")
    (done,) = alone("maintain", "silver.payments", "--json").document["tables"]
    assert (done["before"]["files"], done["after"]["files"], done["compacted"]) == (3, 1, 3)
    shown = alone("maintain", "--all")
    assert shown.code == 0
    assert "silver.payments" in shown.out
    assert alone("sql", "SELECT count(*) AS n FROM silver.payments", "--json").document["rows"] == [[3]]


def test_should_refuse_what_upkeep_is_not_for(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-upkeep")
    assert alone("maintain").code == 2
    assert alone("maintain", "bronze.b").code == 2
    assert alone("maintain", "silver.payments", "--retain", "1").code == 2
    missing = alone("maintain", "silver.paymnts")
    assert missing.code == 1
    assert "silver.paymnts: what to do: did you mean silver.payments?" in missing.out
