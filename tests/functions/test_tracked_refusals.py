"""What Change Tracking needs, and what is refused without it, with the statement that helps."""

import pytest

from events.request import InvalidRequest, parse_job_request
from flowforge.domain.errors import UnsupportedSource


def test_should_refuse_what_is_not_tracked_with_the_statements_that_switch_it_on(tracked):
    source = tracked()
    source.execute("ALTER TABLE {t} DISABLE CHANGE_TRACKING")
    with pytest.raises(UnsupportedSource, match="Change Tracking is not on") as caught:
        source.load()
    assert f"ALTER TABLE [dbo].[{source.table.name}] ENABLE CHANGE_TRACKING" in caught.value.remedy


def test_should_refuse_a_database_without_snapshot_isolation(tracked):
    source = tracked()
    source.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    try:
        with pytest.raises(UnsupportedSource, match="reads under SNAPSHOT isolation") as caught:
            source.load()
        assert "SET ALLOW_SNAPSHOT_ISOLATION ON" in caught.value.remedy
    finally:
        source.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


def test_should_refuse_a_login_that_may_not_view_the_changes(tracked, loads):
    source = tracked()
    secret = source.table.connection.secret_id.replace("/sa", "/reader")
    source.table.connection = source.table.connection.model_copy(update={"secret_id": secret})
    with pytest.raises(UnsupportedSource, match="may not view") as caught:
        source.load()
    assert f"GRANT VIEW CHANGE TRACKING ON [dbo].[{source.table.name}] TO [reader]" in caught.value.remedy
    source.execute("GRANT VIEW CHANGE TRACKING ON dbo.{t} TO reader")
    source.load()
    assert source.agrees()


def test_should_refuse_another_key_than_the_tables_own(tracked):
    with pytest.raises(UnsupportedSource, match="tells rows apart by the table's own key: id"):
        tracked({"primary_key": ["at"]}).load()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"deltaColumn": "at"}, "stands in place of deltaColumn"),
        ({"isIncremental": False}, "needs isIncremental true"),
        ({"snapshotIsolation": False}, "under SNAPSHOT isolation"),
        ({"lastWatermark": 5}, "it is about the cursor"),
        ({"destination_config": {"silverConfig": {"deletes": {"detect": "keys"}}}}, "tells of deletes itself"),
        (
            {"destination_config": {"silverConfig": {"mergeStrategy": "append"}}},
            "needs silverConfig.mergeStrategy merge or scd2",
        ),
    ],
)
def test_should_refuse_a_request_that_contradicts_itself(settings, problem):
    config = {"tableName": "t", "isIncremental": True, "changeTracking": True, **settings}
    connection = {"host": "db", "database": "Bank", "username": "u", "password": "p"}
    source = {"type": "sql-server", "connection": connection, "databaseConfig": config}
    document = {"workflow_id": "w", "job_id": "j", "source_type": "database", "source_config": source}
    with pytest.raises(InvalidRequest, match=problem):
        parse_job_request(document)
