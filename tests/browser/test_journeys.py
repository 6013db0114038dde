"""What people do each day, click by click."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _team(installation: Installation) -> None:
    team(installation.admin)


@pytest.fixture
def job(installation: Installation, target: Target) -> dict[str, Any]:
    made: dict[str, Any] = make_job(installation.admin, name=f"journey {uuid.uuid4()}", target_url=target.url + "/ok")
    return made


def test_a_job_is_made_with_a_preview_and_a_test_run(
    open_page: Callable[..., Page], installation: Installation, target: Target
) -> None:
    page = open_page()
    page.goto("jobs/job/add/")
    # Two words: a page in Japanese with three English ones fails another test.
    name = f"hand-made {uuid.uuid4()}"
    page.get_by_label("Name").fill(name)
    page.get_by_label("Schedule", exact=False).first.fill("0 9 * * 1-5")
    expect(page.locator("#cron-preview")).to_contain_text("Monday through Friday")
    expect(page.locator("#cron-preview li")).to_have_count(5)
    page.locator("#id_cron_expression").fill("99 * * * *")
    expect(page.locator("#cron-preview")).to_contain_text("out of range")
    page.locator("#id_cron_expression").fill("0 9 * * 1-5")
    page.locator("#id_target_url").fill(target.url + "/ok")
    page.locator("#id_metadata").fill("[1")
    expect(page.locator("#json-note")).to_contain_text("Not a JSON object")
    page.locator("#id_metadata").fill('{"a": 1}')
    expect(page.locator("#json-note")).to_have_text("A JSON object.")
    page.get_by_role("button", name="Test run").click()
    expect(page.locator("#test-answer")).to_contain_text("200")
    assert target.wait_for(1)[0].json == {"a": 1}
    for field in ("category", "pic_team"):
        page.locator(f"#id_{field}").select_option(index=1)
    page.locator("#id_end_date").fill("2099-12-31")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()
    found = installation.admin.get("/jobs", params={"search": name}).json()["jobs"]
    assert [(one["name"], one["metadata"]) for one in found] == [(name, {"a": 1})]


def test_enter_saves_and_presses_no_other_button(
    open_page: Callable[..., Page], installation: Installation, job: dict[str, Any], target: Target
) -> None:
    page = open_page()
    page.goto(f"jobs/job/{job['id']}/change/")
    page.locator("#id_name").fill(job["name"] + " renamed")
    page.locator("#id_name").press("Enter")
    page.wait_for_load_state("networkidle")
    assert installation.admin.get(f"/jobs/{job['id']}").json()["job"]["name"] == job["name"] + " renamed"
    assert target.arrivals == []


def test_target_fields_follow_the_choice(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("jobs/job/add/")
    expect(page.locator("#id_target_url")).to_be_visible()
    expect(page.locator("#id_github_repo")).to_be_hidden()
    page.get_by_label("A GitHub Actions workflow").check()
    expect(page.locator("#id_github_repo")).to_be_visible()
    expect(page.locator("#id_target_url")).to_be_hidden()


def test_a_row_is_disabled_and_run_in_one_click(
    open_page: Callable[..., Page], installation: Installation, job: dict[str, Any], target: Target
) -> None:
    page = open_page()
    page.goto(f"jobs/job/?q={job['name']}")
    page.get_by_role("button", name=f"Disable {job['name']}").click()
    expect(page.get_by_text(f"{job['name']} is disabled.")).to_be_visible()
    assert f"q={job['name'].split()[0]}" in page.url
    assert not installation.admin.get(f"/jobs/{job['id']}").json()["job"]["is_active"]
    page.get_by_role("button", name=f"Run {job['name']} now").click()
    # The execution is open, and turns green by itself.
    expect(page.locator(".cs-pill")).to_have_text("Success")
    target.wait_for(1)


def test_many_jobs_are_extended(
    open_page: Callable[..., Page], installation: Installation, job: dict[str, Any]
) -> None:
    installation.admin.put(f"/jobs/{job['id']}", json={"end_date": "2097-12-31"})
    page = open_page()
    page.goto(f"jobs/job/?q={job['name']}")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("extend")
    page.locator("#changelist-actions button, button[name=index]").first.click()
    page.locator("#id_end_date").fill("2098-01-01")
    page.get_by_role("button", name="Extend the end date").click()
    expect(page.get_by_text("End date of 1 job set to 2098-01-01.")).to_be_visible()
    assert installation.admin.get(f"/jobs/{job['id']}").json()["job"]["end_date"] == "2098-01-01"


def test_a_copy_begins_inactive(open_page: Callable[..., Page], job: dict[str, Any]) -> None:
    page = open_page()
    page.goto(f"jobs/job/{job['id']}/change/")
    page.get_by_role("link", name="Duplicate").click()
    expect(page.locator("#id_name")).to_have_value(f"{job['name']} (copy)")
    expect(page.locator("#id_is_active")).not_to_be_checked()
    expect(page.locator("#id_cron_expression")).to_have_value(job["cron_expression"])


def test_an_execution_is_read_and_run_again(
    open_page: Callable[..., Page], installation: Installation, job: dict[str, Any], target: Target
) -> None:
    asked = installation.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
    wait_until(lambda: installation.admin.get(f"/executions/{asked}").json()["execution"]["status"] == "success")
    page = open_page()
    page.goto(f"executions/execution/?job={job['id']}")
    page.locator("td.field-outcome a").first.click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    expect(page.get_by_text("Success").first).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    expect(page.locator(".cs-pill")).to_have_text("Success")
    target.wait_for(2)


def test_a_file_is_previewed_before_it_is_imported(
    open_page: Callable[..., Page], installation: Installation, target: Target
) -> None:
    name = f"imported {uuid.uuid4()}"
    text = (
        "Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team\r\n"
        f"{name},0 9 * * *,{target.url}/ok,2099-12-31,contract\r\nbad "
        f"one,nonsense,{target.url}/ok,2099-12-31,contract\r\n"
    )
    page = open_page()
    page.goto("import/")
    page.set_input_files("#id_file", {"name": "jobs.csv", "mimeType": "text/csv", "buffer": text.encode()})
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", name="1 rows can be created, 1 cannot")).to_be_visible()
    expect(page.locator("tr.cs-bad")).to_contain_text("bad one")
    assert installation.admin.get("/jobs", params={"search": name}).json()["jobs"] == []
    page.get_by_role("button", name="Create 1 job").click()
    expect(page.get_by_text("1 job was created.")).to_be_visible()
    assert len(installation.admin.get("/jobs", params={"search": name}).json()["jobs"]) == 1


def test_deleting_says_what_goes_with_it(
    open_page: Callable[..., Page], installation: Installation, job: dict[str, Any]
) -> None:
    page = open_page()
    page.goto(f"jobs/job/{job['id']}/delete/")
    expect(page.get_by_text(f"{job['name']}: 0 executions")).to_be_visible()
    page.locator("#content form button[type=submit], #content form input[type=submit]").first.click()
    page.wait_for_url("**/jobs/job/")
    assert installation.admin.get(f"/jobs/{job['id']}").status_code == 404


def test_a_selection_is_counted(open_page: Callable[..., Page], installation: Installation, target: Target) -> None:
    prefix = f"counted {uuid.uuid4().hex[:8]}"
    for number in range(52):
        make_job(installation.admin, name=f"{prefix} {number}", target_url=target.url + "/ok")
    page = open_page()
    page.goto(f"jobs/job/?q={prefix}")
    boxes = page.locator("#result_list input.action-select")
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(page.locator(".action-counter")).to_have_text("2 of 50 selected")
    page.locator("#action-toggle").check()
    page.get_by_role("link", name="Select all 52 jobs").click()
    expect(page.locator("span.all")).to_have_text("All 52 selected")
    page.locator("select[name=action]").select_option("disable")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("52 jobs").first).to_be_visible()
