"""`/api/v2/calendars`, and jobs with calendars and time zones."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from audit.models import ChangeRecord
from calendars.models import CalendarVersion
from executions.models import Execution
from jobs import calendars
from jobs.models import Job
from jobs.schedule_history import fire_times_between
from jobs.services import create_job, extend, skip_next_run
from scheduler.explain import explain
from windows.cover import Cover, Inside

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 26, 1, 0, tzinfo=dt.UTC)
OFFICE = {
    "name": "Tokyo office",
    "country": "JP",
    "days": [{"date": "2026-12-31", "label": "年末年始"}, {"date": "2027-01-09", "is_open": True}],
}


@pytest.fixture(autouse=True)
def _standing_still() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def office(api: APIClient) -> dict[str, Any]:
    answer = api.post("/api/v2/calendars", OFFICE, format="json")
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()["calendar"]
    return found


def made(api: APIClient, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = api.post("/api/v2/jobs", {**body, "calendar": "tokyo-office", **more}, format="json")
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()["job"]
    return found


def test_a_calendar_is_made_read_changed_and_deleted(api: APIClient, office: dict[str, Any]) -> None:
    assert office["slug"] == "tokyo-office"
    assert (office["weekend_days"], office["country"], office["version"]) == ([6, 7], "JP", 1)
    assert office["days"][0] == {"date": "2026-12-31", "is_open": False, "label": "年末年始"}
    assert office["time_zone"] is None
    change = {"weekend_days": [7], "time_zone": "Asia/Tokyo"}
    changed = api.put("/api/v2/calendars/tokyo-office", change, format="json").json()
    assert (changed["calendar"]["version"], changed["jobs_updated"]) == (2, 0)
    assert changed["calendar"]["time_zone"] == "Asia/Tokyo"
    # What was not sent stays.
    assert changed["calendar"]["days"] == office["days"]
    assert [one["slug"] for one in api.get("/api/v2/calendars").json()["calendars"]] == ["tokyo-office"]
    assert api.delete("/api/v2/calendars/tokyo-office").status_code == 200
    assert api.get("/api/v2/calendars/tokyo-office").json()["error"] == "Calendar not found"
    assert set(ChangeRecord.objects.filter(subject="calendar").values_list("kind", flat=True)) == {
        "created", "updated", "deleted"}  # fmt: skip


def test_the_closed_days_of_a_year(api: APIClient, office: dict[str, Any]) -> None:
    year = api.get("/api/v2/calendars/tokyo-office/closed-days?year=2027").json()
    reasons = {one["date"]: one["reason"] for one in year["closed"]}
    assert reasons["2027-01-01"] == "元日"
    assert "2027-01-09" not in reasons
    assert not year["provisional"]
    assert api.get("/api/v2/calendars/tokyo-office/closed-days?year=1").status_code == 400


def test_everybody_reads_and_admins_change(client_of: Any, user: User, office: dict[str, Any]) -> None:
    client = client_of(user)
    assert client.get("/api/v2/calendars").status_code == 200
    assert client.post("/api/v2/calendars", OFFICE, format="json").status_code == 403
    assert client.put("/api/v2/calendars/tokyo-office", {}, format="json").status_code == 403
    assert client.delete("/api/v2/calendars/tokyo-office").status_code == 403


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "name", "Is required."),
        ({"name": "日本"}, "slug", "No slug"),
        ({"name": "X", "country": "ZZ"}, "country", "not known"),
        ({"name": "X", "time_zone": "Mars/One"}, "time_zone", "is unknown"),
        ({"name": "X", "weekend_days": [8]}, "weekend_days", "1 is Monday"),
        ({"name": "X", "weekend_days": [1, 2, 3, 4, 5, 6, 7]}, "weekend_days", "At least one day"),
        ({"name": "X", "days": [{"date": "2026-02-30"}]}, "days", "is no date"),
        ({"name": "X", "days": [{"date": "2026-02-03", "is_open": "no"}]}, "days", "Day 1: 'is_open'"),
        ({"name": "X", "days": [{"date": "2026-02-03"}, {}]}, "days", "Day 2: '' is no date"),
        ({"name": "X", "slug": "!!"}, "slug", "No slug"),
        ({"name": "X", "days": 5}, "days", "a list"),
        ({"name": "Tokyo office"}, "name", "Is taken."),
    ],
)
def test_bad_calendars(api: APIClient, office: dict[str, Any], body: dict[str, Any], field: str, reason: str) -> None:
    answer = api.post("/api/v2/calendars", body, format="json")
    assert answer.status_code in {400, 409}
    assert reason in answer.json()["fields"][field][0]


def test_a_calendar_in_use_is_kept_and_names_its_jobs(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    made(api, job_body)
    answer = api.delete("/api/v2/calendars/tokyo-office")
    assert (answer.status_code, answer.json()["error"], answer.json()["jobs"]) == (409, "Calendar in use", ["Nightly"])


def test_a_change_is_shown_first_and_then_moves_the_next_runs(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    job = made(api, job_body, cron_expression="0 9 30 * *", on_closed_day="next_open")
    assert job["next_execution_at"] == "2026-11-30T09:00:00+09:00"
    change = {"days": [{"date": "2026-11-30"}]}
    shown = api.put("/api/v2/calendars/tokyo-office?dry_run=1", change, format="json").json()
    assert (shown["jobs"], shown["moved_count"]) == (1, 1)
    assert shown["moved"][0]["before"] == "2026-11-30T09:00:00+09:00"
    assert shown["moved"][0]["after"] == "2026-12-01T09:00:00+09:00"
    assert Job.objects.get().next_run_at == dt.datetime(2026, 11, 30, 0, 0, tzinfo=dt.UTC)
    assert api.put("/api/v2/calendars/tokyo-office", change, format="json").json()["jobs_updated"] == 1
    assert Job.objects.get().next_run_at == dt.datetime(2026, 12, 1, 0, 0, tzinfo=dt.UTC)


def test_a_change_moves_nothing_before_a_jobs_first_day(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    made(api, job_body, cron_expression="0 9 30 * *", on_closed_day="next_open", start_date="2027-06-01")
    change = {"days": [{"date": "2026-11-30"}]}
    assert api.put("/api/v2/calendars/tokyo-office?dry_run=1", change, format="json").json()["moved_count"] == 0


def test_a_change_after_which_a_job_never_fires_is_refused(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    made(api, job_body, cron_expression="0 9 * * 3", on_closed_day="skip")
    answer = api.put("/api/v2/calendars/tokyo-office", {"weekend_days": [3]}, format="json")
    assert (answer.status_code, answer.json()["jobs"]) == (409, ["Nightly"])
    assert api.get("/api/v2/calendars/tokyo-office").json()["calendar"]["version"] == 1


@pytest.mark.parametrize(
    ("more", "field", "reason"),
    [
        ({"calendar": "nowhere"}, "calendar", "There is no calendar"),
        ({"time_zone": "Mars/One"}, "time_zone", "is unknown"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "is unknown"),
        ({"on_closed_day": "sometimes"}, "on_closed_day", "must be one of"),
        ({"shift_limit_days": 32}, "shift_limit_days", "1 to 31"),
        ({"shift_open_days": -21}, "shift_open_days", "-20 to 20"),
        ({"cron_expression": "0 9 1 1 *", "on_closed_day": "skip"}, "cron_expression", "never fires"),
        ({"cron_expression": "0 9 LB * *", "calendar": None}, "cron_expression", "need a calendar"),
        ({"cron_expression": "0 0 9 1 * *"}, "cron_expression", "seconds and years"),
    ],
)
def test_bad_jobs(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any], more: dict[str, Any], field: str, reason: str
) -> None:
    answer = api.post("/api/v2/jobs", {**job_body, "calendar": "tokyo-office", **more}, format="json")
    assert answer.status_code == 400
    assert reason in answer.json()["fields"][field][0]
    assert not Job.objects.exists()


def test_a_job_reads_its_days_in_its_own_zone(api: APIClient, office: dict[str, Any], job_body: dict[str, Any]) -> None:
    job = made(api, job_body, cron_expression="0 9 * * *", time_zone="America/New_York", on_closed_day="skip")
    # 2026-11-26 09:00 in New York is a Thursday that Japan's calendar leaves open.
    assert job["next_execution_at"] == "2026-11-26T23:00:00+09:00"
    ended = api.put(f"/api/v2/jobs/{job['id']}", {"end_date": "2026-11-26"}, format="json").json()["job"]
    assert ended["next_execution_at"] == "2026-11-26T23:00:00+09:00"
    with time_machine.travel(dt.datetime(2026, 11, 27, 1, 0, tzinfo=dt.UTC), tick=False):
        assert not Job.objects.get().has_ended
        assert not Job.objects.expired().exists()
    with time_machine.travel(dt.datetime(2026, 11, 27, 5, 0, tzinfo=dt.UTC), tick=False):
        assert Job.objects.expired().exists()


def test_the_preview_names_what_closed_days_skip(api: APIClient, office: dict[str, Any]) -> None:
    body = {"expression": "0 9 31 * *", "calendar": "tokyo-office", "on_closed_day": "skip", "count": 1}
    answer = api.post("/api/v2/jobs/cron-preview", body, format="json").json()
    assert answer["next_runs"] == ["2027-03-31T09:00:00+09:00"]
    assert [(one["at"][:10], one["runs"]) for one in answer["times"]] == [
        ("2026-12-31", False), ("2027-01-31", False), ("2027-03-31", True)]  # fmt: skip
    assert answer["times"][0]["reason"] == "closed day 年末年始 (calendar Tokyo office)"
    body = {"expression": "0 9 LB * *", "calendar": "tokyo-office"}
    told = api.post("/api/v2/jobs/cron-description", body, format="json").json()["description"]
    assert told == "At 09:00, on the last business day of the month (calendar Tokyo office)"


def test_an_export_is_read_again(api: APIClient, office: dict[str, Any], job_body: dict[str, Any], admin: User) -> None:
    from jobs.services import create_job
    from jobs.transfer.exporting import body_of

    made(api, job_body, cron_expression="0 9 LB * *", on_closed_day="previous_open", shift_open_days=-1)
    body = body_of(Job.objects.get())
    again = create_job({**body, "name": "Again"}, by=admin)
    assert again.schedule == Job.objects.get(name="Nightly").schedule


def test_a_frequent_job_is_compared_by_days(api: APIClient, office: dict[str, Any], job_body: dict[str, Any]) -> None:
    made(api, job_body, cron_expression="*/5 * * * *", on_closed_day="skip")
    body = {"days": [*OFFICE["days"], {"date": "2026-12-16"}]}
    shown = api.put("/api/v2/calendars/tokyo-office?dry_run=1", body, format="json").json()
    assert shown["moved_count"] == 288
    assert [(one["before"], one["after"]) for one in shown["moved"]] == [("2026-12-16T00:00:00+09:00", None)]


def test_a_job_that_cannot_fire_anyway_keeps_nobody_from_changing_its_calendar(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    job = made(api, job_body)
    Job.objects.filter(pk=job["id"]).update(cron_expression="not cron")
    answer = api.put("/api/v2/calendars/tokyo-office", {"days": []}, format="json")
    assert answer.status_code == 200


def test_the_last_day_is_that_of_the_jobs_zone(api: APIClient, job_body: dict[str, Any]) -> None:
    # In Honolulu it is still the day before.
    body = {**job_body, "time_zone": "Pacific/Honolulu"}
    assert api.post("/api/v2/jobs", {**body, "end_date": "2026-11-25"}, format="json").status_code == 201
    answer = api.post("/api/v2/jobs", {**body, "name": "b", "end_date": "2026-11-24"}, format="json")
    assert "Write today (2026-11-25)" in answer.json()["message"]


def test_the_past_is_told_by_the_days_of_then(api: APIClient, office: dict[str, Any], job_body: dict[str, Any]) -> None:
    made(api, job_body, cron_expression="0 9 * * *", on_closed_day="skip")
    with time_machine.travel(NOW + dt.timedelta(days=4, hours=12), tick=False):
        days = [*OFFICE["days"], {"date": "2026-11-27"}, {"date": "2026-12-01"}]
        calendars.update("tokyo-office", {"days": days})
    with time_machine.travel(NOW + dt.timedelta(days=7), tick=False):
        job = Job.objects.get()
        times = fire_times_between(job, NOW, timezone.now())
        # The 27th was closed afterwards; the 1st had not come when it was closed.
        assert [f"{one:%m-%d}" for one in times] == ["11-27", "11-30", "12-02", "12-03"]
        nine = [dt.datetime(2026, month, day, 0, 0, tzinfo=dt.UTC) for month, day in ((11, 27), (12, 1))]
        assert [explain(job, at).answer == "closed_day" for at in nine] == [False, True]


class TestARunThatMovedEarlier:
    """Monday the 30th is closed, so Monday's run was on Friday the 27th; then somebody opens Monday."""

    FRIDAY = dt.datetime(2026, 11, 27, 0, 0, tzinfo=dt.UTC)
    MONDAY = dt.datetime(2026, 11, 30, 0, 0, tzinfo=dt.UTC)

    @pytest.fixture(autouse=True)
    def _job(self, api: APIClient, office: dict[str, Any], job_body: dict[str, Any]) -> None:
        api.put("/api/v2/calendars/tokyo-office", {"days": [{"date": "2026-11-30"}]}, format="json")
        made(api, job_body, cron_expression="0 9 * * 1", on_closed_day="previous_open")
        # Friday's run is fired.
        Job.objects.update(next_run_at=self.MONDAY + dt.timedelta(days=7))

    def opened(self, *days: str) -> Inside | None:
        with time_machine.travel(self.FRIDAY + dt.timedelta(hours=1), tick=False):
            calendars.update("tokyo-office", {"days": [{"date": day} for day in days]})
            job = Job.objects.get()
            assert job.next_run_at == self.MONDAY
            return Cover.now().inside(job, self.MONDAY)

    def ran(self, status: str) -> None:
        Execution.objects.create(job=Job.objects.get(), status=status, scheduled_for=self.FRIDAY, target="x")

    def test_it_does_not_run_again(self) -> None:
        self.ran("success")
        inside = self.opened()
        assert inside is not None
        assert inside.window.reason == "Calendar: Tokyo office"
        assert inside.window.name == "Ran already: 2026-11-27 09:00"

    @pytest.mark.parametrize("status", ["skipped", "missed", ""])
    def test_one_that_did_not_run_runs_now(self, status: str) -> None:
        if status:
            self.ran(status)
        assert self.opened() is None

    def test_a_time_that_has_not_run_yet_runs(self) -> None:
        self.ran("success")
        Job.objects.update(cron_expression="0 9 * * 1,2")
        # Tuesday's run moves to Monday now, for the first time.
        assert self.opened("2026-12-01") is None


def test_a_run_that_can_run_no_more_is_recorded(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    """Thursday the 26th is closed, so that its run moves to Friday; at ten on Thursday somebody opens it."""
    days = [{"date": "2026-11-26"}]
    with time_machine.travel(NOW - dt.timedelta(days=1), tick=False):
        calendars.update("tokyo-office", {"days": days})
        job = create_job({**job_body, "calendar": "tokyo-office", "cron_expression": "0 9 26 * *",
                          "on_closed_day": "next_open"}, by=User.objects.get(username="ada"))  # fmt: skip
        assert job.next_run_at == dt.datetime(2026, 11, 27, 0, 0, tzinfo=dt.UTC)
    shown = api.put("/api/v2/calendars/tokyo-office?dry_run=1", {"days": []}, format="json").json()
    assert [(one["before"][:10], one["after"]) for one in shown["moved"]] == [("2026-11-27", None)]
    calendars.update("tokyo-office", {"days": []})
    row = Execution.objects.get()
    assert (row.status, row.trigger_type, row.scheduled_for) == (
        "skipped", "scheduled", dt.datetime(2026, 11, 26, 0, 0, tzinfo=dt.UTC))  # fmt: skip
    assert row.error_message == "skipped: its day was opened after its time (calendar Tokyo office)"


def test_a_run_that_is_to_be_skipped_stays_so_where_it_moves(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    made(api, job_body, cron_expression="0 9 30 * *", on_closed_day="next_open")
    Job.objects.update(skipped_run_at=F("next_run_at"))
    calendars.update("tokyo-office", {"days": [{"date": "2026-11-30"}]})
    job = Job.objects.get()
    assert job.skipped_run_at == job.next_run_at == dt.datetime(2026, 12, 1, 0, 0, tzinfo=dt.UTC)


def test_a_skip_keeps_its_run_whatever_else_the_calendar_changes(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any]
) -> None:
    monday = dt.datetime(2026, 11, 30, 0, 0, tzinfo=dt.UTC)
    made(api, job_body, cron_expression="0 9 * * *", on_closed_day="skip")
    Job.objects.update(skipped_run_at=monday - dt.timedelta(days=3), next_run_at=monday - dt.timedelta(days=3))
    # The run of Friday that was to be skipped is gone; that of Monday was not to be.
    calendars.update("tokyo-office", {"days": [{"date": "2026-11-27"}]})
    job = Job.objects.get()
    assert (job.next_run_at, job.skipped_run_at) == (monday, monday - dt.timedelta(days=3))
    Job.objects.update(skipped_run_at=monday)
    # An earlier run comes in; Monday's is still the one to be skipped.
    calendars.update("tokyo-office", {"days": [{"date": "2026-11-28", "is_open": True}]})
    assert Job.objects.get().skipped_run_at == monday


@pytest.mark.parametrize("change", [{"start_date": dt.date(2026, 11, 27)}, {"end_date": dt.date(2026, 11, 26)}])
def test_what_was_not_to_run_is_not_recorded(
    api: APIClient, office: dict[str, Any], job_body: dict[str, Any], change: dict[str, Any]
) -> None:
    with time_machine.travel(NOW - dt.timedelta(days=1), tick=False):
        calendars.update("tokyo-office", {"days": [{"date": "2026-11-26"}]})
        create_job({**job_body, "calendar": "tokyo-office", "cron_expression": "0 9 26 * *",
                    "on_closed_day": "next_open"}, by=User.objects.get(username="ada"))  # fmt: skip
    Job.objects.update(**change)
    calendars.update("tokyo-office", {"days": []})
    assert not Execution.objects.exists()


def test_a_version_of_the_same_days_is_kept_once(api: APIClient, office: dict[str, Any]) -> None:
    calendars.update("tokyo-office", {"name": "Office", "time_zone": "Asia/Tokyo"})
    assert CalendarVersion.objects.count() == 1
    calendars.update("tokyo-office", {"days": []})
    assert CalendarVersion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_next_run_is_skipped_and_an_end_date_extended_in_transactions_of_their_own(
    make_job: Any, admin: User
) -> None:
    job = make_job(cron_expression="0 9 * * *", end_date="2026-12-31")
    assert skip_next_run(job, by=admin).skipped_run_at == job.next_run_at
    assert extend(job, 2, by=admin).end_date == dt.date(2027, 2, 28)
    Job.objects.update(end_date="9999-12-01")
    job.refresh_from_db()
    assert extend(job, 12, by=admin).end_date == dt.date(9999, 12, 1)


def test_a_rule_without_a_calendar_is_warned_of(api: APIClient, job_body: dict[str, Any]) -> None:
    answer = api.post("/api/v2/jobs", {**job_body, "on_closed_day": "skip"}, format="json").json()
    assert any("Without a calendar" in one for one in answer["warnings"])
