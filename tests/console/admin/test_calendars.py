"""Business calendars in the admin: what a change does is shown before it is saved."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from calendars.models import Calendar
from jobs import calendars
from jobs.models import Job

pytestmark = pytest.mark.django_db
BASE = "/admin/calendars/calendar"
FORM = {"name": "Office", "slug": "office", "country": "JP", "weekend_days": ["6", "7"], "listed": ""}


@pytest.fixture(autouse=True)
def _standing_still() -> Any:
    with time_machine.travel(dt.datetime(2026, 11, 26, 1, 0, tzinfo=dt.UTC), tick=False):
        yield


@pytest.fixture
def office() -> Calendar:
    return calendars.create({"name": "Office", "country": "JP"})


def test_a_calendar_is_made_from_the_form_and_a_file(browser: Client) -> None:
    file = SimpleUploadedFile("days.csv", "2026-12-31,closed,年末年始\n".encode())
    answer = browser.post(f"{BASE}/add/", {**FORM, "listed": "2027-01-09 open\r\n", "file": file})
    assert answer.status_code == 302
    days = Calendar.objects.get().days.all()
    assert [(str(day.date), day.is_open, day.label) for day in days] == [
        ("2026-12-31", False, "年末年始"), ("2027-01-09", True, "")]  # fmt: skip


def test_fire_times_that_would_move_are_shown_and_confirmed(browser: Client, office: Calendar, make_job: Any) -> None:
    make_job(name="Month end", cron_expression="0 9 30 * *", calendar="office", on_closed_day="next_open")
    change = {**FORM, "listed": "2026-11-30 closed\r\n2026-12-31 closed"}
    answer = browser.post(f"{BASE}/{office.pk}/change/", change)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "1 fire time of 1 jobs would change" in page
    assert "2026-11-30 (Mon) 09:00" in page
    assert "2026-12-01 (Tue) 09:00" in page
    assert Calendar.objects.get().version == 1
    confirm = answer.context["adminform"].form.data["confirm"]
    # Another change than the one that was shown is shown again.
    other = browser.post(f"{BASE}/{office.pk}/change/", {**change, "listed": "2026-11-30 closed", "confirm": confirm})
    assert other.status_code == 200
    done = browser.post(f"{BASE}/{office.pk}/change/", {**change, "confirm": confirm})
    assert done.status_code == 302
    assert Calendar.objects.get().version == 2
    assert Job.objects.get().next_run_at == dt.datetime(2026, 12, 1, 0, 0, tzinfo=dt.UTC)


def test_a_change_that_moves_nothing_is_saved_at_once(browser: Client, office: Calendar) -> None:
    assert browser.post(f"{BASE}/{office.pk}/change/", {**FORM, "listed": "2026-11-30 closed"}).status_code == 302


def test_wrong_days_and_jobs_that_would_never_fire_are_refused_at_their_field(
    browser: Client, office: Calendar, make_job: Any
) -> None:
    make_job(name="Wednesdays", cron_expression="0 9 * * 3", calendar="office", on_closed_day="skip")
    answer = browser.post(f"{BASE}/{office.pk}/change/", {**FORM, "listed": "tomorrow"})
    assert "is no date" in str(answer.context["adminform"].form.errors["listed"])
    answer = browser.post(f"{BASE}/{office.pk}/change/", {**FORM, "weekend_days": ["3"]})
    assert "Wednesdays" in str(answer.context["adminform"].form.errors["listed"])


def test_a_calendar_in_use_is_not_deleted(browser: Client, office: Calendar, make_job: Any) -> None:
    job = make_job(calendar="office")
    page = browser.post(f"{BASE}/{office.pk}/delete/", {"post": "yes"}, follow=True).content.decode()
    assert f"Jobs use this calendar: {job.name}." in page
    assert Calendar.objects.exists()
    job.delete()
    browser.post(f"{BASE}/{office.pk}/delete/", {"post": "yes"})
    assert not Calendar.objects.exists()


def test_the_page_shows_three_years_to_everybody(browser_of: Any, make_user: Any, office: Calendar) -> None:
    answer = browser_of(make_user("sam", admin_access=True)).get(f"{BASE}/{office.pk}/change/")
    assert answer.status_code == 200, answer.headers
    page = answer.content.decode()
    assert page.count("cs-month") >= 36
    assert "provisional" in page
    assert 'title="成人の日"' in page


def test_the_preview_of_the_form_strikes_out_what_is_skipped(browser: Client, office: Calendar) -> None:
    found = browser.get(
        "/admin/jobs/job/preview/",
        {"cron": "0 9 23 * *", "calendar": str(office.pk), "on_closed_day": "previous_open", "shift_limit_days": "3"},
    ).json()
    assert found["words"].endswith("moved from closed days to the previous open day (calendar Office)")
    assert found["fires"][0] == {"time": "2026-12-23 (Wed) 09:00 JST", "runs": True, "note": "alone"}
    found = browser.get(
        "/admin/jobs/job/preview/", {"cron": "0 9 1 1,2 *", "calendar": str(office.pk), "on_closed_day": "skip"}
    ).json()
    assert [one["runs"] for one in found["fires"][:2]] == [False, True]
    assert found["fires"][0]["note"] == "closed day 元日 (calendar Office)"
    assert browser.get("/admin/jobs/job/preview/", {"cron": "0 9 LB * *"}).json()["error"].startswith("Business days")


def test_an_empty_slug_is_made_from_the_name(admin_client: Client) -> None:
    form = {"name": "Tokyo office", "slug": "", "country": "JP", "weekend_days": ["6", "7"], "listed": ""}
    assert admin_client.post(reverse("admin:calendars_calendar_add"), form).status_code == 302
    assert Calendar.objects.get().slug == "tokyo-office"
