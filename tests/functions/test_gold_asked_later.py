"""What a later request says of gold holds for a replay of what an earlier one has landed."""

from typing import Any

import pytest

from events.commands import IngestTable
from events.facts import SilverRefined
from events.request import SilverConfig
from events.targets import GoldModelTarget, GoldTarget
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import TransformRejected
from flowforge.gold.step import publish_refined
from flowforge.operations.watermarks import commit_landed
from flowforge.silver.step import refine_landed
from tests.helpers.file_jobs import Job, only, why_nothing


def with_gold(files: Job, **gold: Any) -> IngestTable:
    wanted: dict[str, Any] = {"table": files.name} | gold
    return files.command().model_copy(update={"gold": GoldTarget(**wanted)})


def most(number: int) -> dict[str, Any]:
    rule = {"rule": "range", "column": "id", "max": number, "severity": "fail"}
    return {"quality_rules": SilverConfig.model_validate({"qualityRules": [rule]}).qualityRules}


def refined(command: IngestTable) -> SilverRefined:
    landed = only(ingest(command))
    commit_landed(landed)
    found = refine_landed(landed)
    assert found is not None
    return found


def told(command: IngestTable) -> list[str]:
    return [note for note in why_nothing(ingest(command)).notes if "goldConfig" in note]


def test_should_publish_by_the_rules_of_the_newest_request_though_it_found_nothing_new(job):
    files = job()
    files.put("a.csv", "1,1.00,a", "2,2.00,b")
    wrong = with_gold(files, **most(1))
    given_up = refined(wrong)
    with pytest.raises(TransformRejected, match="breaks quality rules"):
        publish_refined(given_up)
    assert len(told(with_gold(files, **most(5)))) == 1
    assert told(with_gold(files, **most(5))) == []
    assert publish_refined(given_up) is not None
    assert files.ids("gold") == [1, 2]
    assert len(told(wrong.model_copy(update={"run_id": f"{files.name}_again"}))) == 1
    with pytest.raises(TransformRejected, match="breaks quality rules"):
        publish_refined(given_up)


def test_should_publish_an_earlier_batch_by_the_rules_of_a_later_one(job):
    files = job()
    files.put("a.csv", "1,1.00,a", "2,2.00,b")
    given_up = refined(with_gold(files, **most(1)))
    files.put("b.csv", "3,3.00,c")
    assert publish_refined(refined(with_gold(files, **most(5)))) is not None
    assert publish_refined(given_up) is not None
    assert files.ids("gold") == [1, 2, 3]


def test_should_build_the_models_of_the_newest_request_but_no_table_that_no_batch_has_claimed(job):
    files = job()
    files.put("a.csv", "1,1.00,a", "2,2.00,b")

    def model(sql: str, table: str = files.name) -> IngestTable:
        models = [GoldModelTarget(table=table, sql=sql.format(f"silver.{files.name}"))]
        return with_gold(files, table=None, models=models)

    given_up = refined(model("SELECT wrong FROM {}"))
    with pytest.raises(TransformRejected):
        publish_refined(given_up)
    assert told(model("SELECT id, amount FROM {}", f"{files.name}_other")) == []
    with pytest.raises(TransformRejected):
        publish_refined(given_up)
    assert len(told(model("SELECT id, amount FROM {}"))) == 1
    assert publish_refined(given_up) is not None
    assert files.ids("gold") == [1, 2]
