"""Files in the console: put below landing/, looked into, loaded as proposed."""

import json
import uuid

from tests.helpers.browser import go, violations
from tests.helpers.stack import in_lake_of

CONTENT = "id;name;seit;betrag\n1;Müller;28.11.2026;1234,50\n2;Lüth;29.11.2026;7,00\n"


def test_should_load_an_uploaded_file_as_it_was_proposed(page, stack, tmp_path):
    workflow, file = f"w_{uuid.uuid4().hex[:8]}", tmp_path / "customers.csv"
    file.write_bytes(CONTENT.encode("cp1252"))
    go(page, stack, "#/files?state=waiting")
    page.get_by_text("Upload a file").click()
    page.get_by_role("textbox", name="Workflow").fill(workflow)
    page.get_by_role("textbox", name="Job").fill("clients")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("textbox", name="Job").press("Enter")
    page.get_by_role("heading", name="customers.csv").wait_for()
    page.get_by_text("windows-1252").first.wait_for()

    cells = page.get_by_role("row").filter(has=page.get_by_text("betrag", exact=True)).first.inner_text()
    assert "decimal" in cells
    assert "Müller" in page.get_by_role("region", name="First rows").inner_text()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375

    page.get_by_role("combobox", name="Rows are told apart by").select_option("id")
    request = json.loads(page.locator(".beside textarea").input_value())
    assert request["workflow_id"] == workflow and request["job_id"] == "clients"
    assert request["destination_config"] == {"silverConfig": {"primaryKey": "id"}}
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/#/runs/**")
    page.locator("#page > .facts .chip", has_text="succeeded").wait_for()
    (table,) = stack.http.get(f"/api/runs/{page.url.rpartition('/')[2]}").json()["tables"]
    with in_lake_of(stack):
        rows = stack.lake(f"SELECT id, name, seit, betrag FROM silver.{table['silver_table']} ORDER BY id")
    assert [[str(value) for value in row] for row in rows] == [
        ["1", "Müller", "2026-11-28", "1234.50"],
        ["2", "Lüth", "2026-11-29", "7.00"],
    ]
    page.goto(f"{stack.facts['api']}/#/files/landing%2F{workflow}%2Fclients%2Fcustomers.csv")
    page.get_by_role("heading", name="What became of it").wait_for()
    page.locator(".chip", has_text="loaded").wait_for()


def test_should_say_what_a_file_is_too_large_for_and_keep_it_chosen(page, stack, tmp_path):
    file = tmp_path / "large.csv"
    file.write_bytes(b"a\n" * 2_000_000)
    go(page, stack, "#/files")
    page.get_by_text("Upload a file").click()
    page.get_by_role("textbox", name="Workflow").fill("crm")
    page.get_by_role("textbox", name="Job").fill("large")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    problem = page.locator("#page .problem")
    problem.get_by_text("flowforge files put large.csv crm/large").wait_for()
    assert page.get_by_label("File", exact=True).evaluate("one => one.files[0].name") == "large.csv"


def test_should_say_that_a_file_is_not_there_and_where_those_are_listed(page, stack):
    go(page, stack, "#/files/landing%2Fnone%2Fsuch%2Ffile.csv")
    page.locator("#page .problem").get_by_text("there is no file").wait_for()
    assert page.get_by_role("button", name="Submit", exact=True).count() == 0
