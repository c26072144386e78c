"""Tables in the console: the last run and the rows of each batch, and each column from the source to gold."""

import re
import uuid

import pytest

from tests.helpers.browser import go, violations
from tests.helpers.stack import own

NAME = f"t_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def table(stack) -> str:
    """A table that was loaded twice, three rows and then one."""
    stack.execute(f"CREATE TABLE {NAME} (id int IDENTITY PRIMARY KEY, paid decimal(9,2) NOT NULL)",
                  f"INSERT INTO {NAME} (paid) VALUES (1.5), (2.5), (3.5)")  # fmt: skip
    request = stack.request({"tableName": NAME, "isIncremental": True, "deltaColumn": "id"}, **own(NAME))
    for _ in range(2):
        assert stack.run(request)["status"] == "succeeded"
        stack.execute(f"INSERT INTO {NAME} (paid) VALUES (4.5)")
    return NAME


def columns(page):
    """The part of a table's page that tells of its columns; its rows are there as well."""
    return page.locator("section[data-key=Columns]")


def row(page, name: str):
    return page.get_by_role("row", name=re.compile(rf"\b{re.escape(name)}\b"))


def test_should_show_each_column_from_the_source_to_gold(page, stack, table):
    go(page, stack, f"#/tables/silver.{table}")
    found = row(columns(page), "paid")
    found.get_by_role("link", name=f"gold.{table}").wait_for()
    for told in ("decimal(9,2) not null", "decimal(9, 2)", "gold"):
        assert told.replace(" ", "") in found.inner_text().replace(" ", ""), found.inner_text()
    found.get_by_role("link", name=f"gold.{table}").click()
    page.get_by_role("heading", name=f"gold.{table}").wait_for()
    row(columns(page), "paid").get_by_role("link", name=f"silver.{table}").wait_for()
    assert "paid" in row(columns(page), "paid").get_by_role("cell").last.inner_text()


def test_should_show_some_rows_and_what_it_is_made_from_and_take_a_decision(page, stack, table):
    go(page, stack, f"#/tables/silver.{table}")
    page.get_by_role("region", name="The answer").get_by_text("2.50", exact=True).wait_for()
    picture = page.get_by_role("group", name=f"silver.{table} makes gold.{table}")
    assert picture.get_by_role("link", name=f"gold.{table}").count() == 1
    page.get_by_role("button", name="Decide …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Column").select_option("id")
    dialog.get_by_role("textbox", name="Type").fill("bigint")
    assert f'schema {table} --type id="bigint"' in dialog.locator(".command code").inner_text()
    assert violations(page) == []
    dialog.get_by_role("button", name="Decide so").click()
    dialog.wait_for(state="detached")
    decided = {one["name"]: one["decided"] for one in stack.http.get(f"/api/silver/{table}/schema").json()["columns"]}
    assert decided["id"] and not decided["paid"]
    row(columns(page), "id").get_by_text(decided["id"], exact=True).first.wait_for()
    go(page, stack, "#/models")
    page.locator(".graph").get_by_role("link", name=f"gold.{table}").click()
    page.get_by_role("heading", name=f"gold.{table}").wait_for()


def test_should_show_the_run_that_built_a_gold_table_last(page, stack, table):
    go(page, stack, f"#/tables?find={table}&layer=gold")
    link = row(page, f"gold.{table}").get_by_role("link", name="built")
    run = stack.http.get(f"/api/runs/{link.get_attribute('href').rpartition('/')[2]}").json()
    assert table in run["tables"][0]["gold_tables"]
    link.click()
    page.locator("#page > .facts .chip", has_text="succeeded").wait_for()


def test_should_show_each_tables_last_run_and_the_rows_of_its_batches(page, stack, table):
    go(page, stack, f"#/tables?find={table}&layer=silver")
    found = row(page, f"silver.{table}")
    found.get_by_role("img", name="Rows of each batch: 3, 1").wait_for()
    assert "published" in found.inner_text()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    stack.execute(f"ALTER TABLE {table} DROP COLUMN paid")
    stack.execute(f"ALTER TABLE {table} ADD paid date")
    stack.execute(f"INSERT INTO {table} (paid) VALUES ('2026-11-29')")
    run = stack.run(stack.request({"tableName": table, "isIncremental": True, "deltaColumn": "id"}, **own(table)))
    assert run["status"] == "failed"
    go(page, stack, f"#/tables?find={table}&layer=silver&only=wrong")
    found = row(page, f"silver.{table}")
    link = found.get_by_role("link", name="failed")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/#/runs/{run['run_id']}")
