"""Bulk actions on jobs: pauses, and undo."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from jobs import services
from jobs.models import Job
from taxonomy.models import Category, PicTeam
from tests.console.admin.test_admin import act
from windows.cover import Cover
from windows.models import Window

pytestmark = pytest.mark.django_db


def undo(browser: Client) -> str:
    return browser.post(reverse("admin:jobs_job_undo"), follow=True).content.decode()


def activity() -> dict[str, bool]:
    return dict(Job.objects.values_list("name", "is_active"))


def test_undo_of_disabling_leaves_off_what_was_off(admin_client: Client, make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", is_active=number != 2) for number in range(3)]
    before = activity()
    page = act(admin_client, "disable", *jobs, apply="1")
    assert "2 jobs are disabled." in page
    assert reverse("admin:jobs_job_undo") in page
    assert not any(activity().values())
    assert "2 jobs are as before." in undo(admin_client)
    assert activity() == before
    # It is done once.
    assert "0 jobs are as before." in undo(admin_client)


def test_undo_leaves_what_somebody_changed_since(
    admin_client: Client, admin: User, make_job: Callable[..., Job]
) -> None:
    jobs = [make_job(name=f"job {number}", end_date="2027-01-01") for number in range(3)]
    assert "End date of 3 jobs set to 2027-06-30." in act(
        admin_client, "extend", *jobs, end_date="2027-06-30", apply="1"
    )
    services.update_job(jobs[0].pk, {"end_date": "2028-01-01"}, by=admin)
    services.delete_job(jobs[1].pk, by=admin)
    page = undo(admin_client)
    assert "1 job is as before." in page
    assert "2 were changed since and stay." in page
    assert dict(Job.objects.values_list("name", "end_date")) == {
        "job 0": dt.date(2028, 1, 1),
        "job 2": dt.date(2027, 1, 1),
    }


def test_undo_of_a_move(admin_client: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    other = PicTeam.objects.create(name="Other", slug="other", slack_handle="@other")
    act(admin_client, "move", job, pic_team=str(other.pk), apply="1")
    job.refresh_from_db()
    assert job.pic_team == other
    undo(admin_client)
    job.refresh_from_db()
    assert job.pic_team.slug == "qa-team"


def test_undo_obeys_who_may_change_a_job(
    browser_of: Callable[[User], Client], user: User, make_job: Callable[..., Job], settings: Any
) -> None:
    User.objects.filter(pk=user.pk).update(admin_access=True)
    user.refresh_from_db()
    browser = browser_of(user)
    job = make_job(by=user)
    assert "1 job is disabled." in act(browser, "disable", job, apply="1")
    Job.objects.filter(pk=job.pk).update(created_by=None)
    assert "0 jobs are as before." in undo(browser)
    assert browser.get(reverse("admin:jobs_job_undo")).status_code == 405


def test_a_pause_of_many_is_one_window(admin_client: Client, make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", is_active=number != 2) for number in range(3)]
    before = activity()
    assert "How long" in act(admin_client, "pause", *jobs)
    page = act(admin_client, "pause", *jobs, until="week", reason="Release 4.2", apply="1")
    assert "3 jobs are paused until" in page
    window = Window.objects.get()
    assert (window.name, window.reason, window.jobs.count()) == ("Pause: 3 jobs", "Release 4.2", 3)
    assert Cover.now().over(jobs[0]) == [window]
    assert activity() == before
    admin_client.post(reverse("admin:windows_window_end", args=[window.pk]))
    assert not Cover.now()
    assert activity() == before


@pytest.mark.parametrize("over", ["all", "team", "category"])
def test_everything_a_team_or_a_category_is_paused_by_one_click(
    admin_client: Client, make_job: Callable[..., Job], team: PicTeam, over: str
) -> None:
    job, before = make_job(), activity()
    label = {"all": None, "team": team, "category": job.category}[over]
    lists = {"all": "index", "team": "taxonomy_picteam_changelist", "category": "taxonomy_category_changelist"}
    url = reverse("admin:windows_window_pause", args=[over, label.pk] if label else [over])
    assert url in admin_client.get(reverse(f"admin:{lists[over]}")).content.decode()
    admin_client.post(url, {"for": "week", "reason": "Release 4.2"})
    window = Window.objects.get()
    assert (window.name, window.reason) == (f"Pause: {label.name}" if label else "Pause of all jobs", "Release 4.2")
    assert Cover.now().over(job) == [window]
    with translation.override("ja"):
        assert "一時停止" in window.title
    end = reverse("admin:windows_window_end", args=[window.pk])
    assert f'action="{end}"' in admin_client.get(reverse("admin:calendar")).content.decode()
    admin_client.post(end)
    assert not Cover.now()
    assert activity() == before


def test_nobody_pauses_the_jobs_of_others(
    browser_of: Callable[[User], Client], user: User, make_job: Callable[..., Job]
) -> None:
    User.objects.filter(pk=user.pk).update(admin_access=True)
    user.refresh_from_db()
    page = act(browser_of(user), "pause", make_job(), until="hour", apply="1")
    assert "creator and admins may do this." in page
    assert not Window.objects.exists()


def test_of_a_mixed_selection_ones_own_jobs_are_deleted(
    browser_of: Callable[[User], Client], user: User, make_job: Callable[..., Job]
) -> None:
    User.objects.filter(pk=user.pk).update(admin_access=True)
    user.refresh_from_db()
    own, other = make_job(name="own", by=user), make_job(name="other")
    browser = browser_of(user)
    page = act(browser, "delete_selected", own, other)
    assert "1 job of somebody else stays." in page
    assert "own" in page
    act(browser, "delete_selected", own, other, post="yes")
    assert list(Job.objects.values_list("name", flat=True)) == ["other"]
    assert "1 job of somebody else stays." in act(browser, "delete_selected", other)


def test_disabling_a_team_asks_what_becomes_of_its_jobs(
    admin_client: Client, make_job: Callable[..., Job], team: PicTeam
) -> None:
    make_job()
    make_job(name="off", is_active=False)
    url = reverse("admin:taxonomy_picteam_changelist")
    answer = admin_client.post(url, {"action": "disable", "_selected_action": [str(team.pk)]}, follow=True)
    page = answer.content.decode()
    assert "1 disabled." in page
    assert "1 job goes on: what is to become of it?" in page
    assert f'href="{url}">Let them go on' in page
    pause = re.findall(r'href="(/admin/windows/window/add/\?[^"]+)"', page)[0].replace("&amp;", "&")
    form = admin_client.get(pause).context["adminform"].form
    assert (form.initial["name"], form.initial["teams"]) == ("Pause: QA Team", [str(team.pk)])
    assert (
        "1 enabled."
        in admin_client.post(
            url, {"action": "enable", "_selected_action": [str(team.pk)]}, follow=True
        ).content.decode()
    )


def test_labels_are_enabled_and_disabled_back_but_for_what_was_changed_since(
    admin_client: Client, general: Category, team: PicTeam
) -> None:
    others = [PicTeam.objects.create(name=name, slug=name.lower(), slack_handle="@x") for name in ("Pay", "Web")]
    off = PicTeam.objects.create(name="Off", slug="off", slack_handle="@x", is_active=False)
    url, back = (reverse(f"admin:taxonomy_picteam_{page}") for page in ("changelist", "undo"))
    chosen = [str(one.pk) for one in (*others, off)]
    page = admin_client.post(url, {"action": "disable", "_selected_action": chosen}, follow=True).content.decode()
    assert ("2 disabled." in page, f'formaction="{back}"' in page) == (True, True)
    others[1].refresh_from_db()
    others[1].save()
    told = admin_client.post(back, follow=True).content.decode()
    assert "1 is as before. 1 was changed since and stays." in told
    active = dict(PicTeam.objects.values_list("name", "is_active"))
    assert (active["Pay"], active["Web"], active["Off"]) == (True, False, False)
    assert "0 are as before." in admin_client.post(back, follow=True).content.decode()


@pytest.mark.parametrize("has_jobs", [True, False])
def test_disabling_a_team_in_its_form_asks_too(
    admin_client: Client, make_job: Callable[..., Job], team: PicTeam, has_jobs: bool
) -> None:
    make_job(is_active=has_jobs)
    form = {"name": team.name, "slack_handle": team.slack_handle}
    answer = admin_client.post(reverse("admin:taxonomy_picteam_change", args=[team.pk]), form, follow=True)
    assert ("what is to become of it?" in answer.content.decode()) is has_jobs
    team.refresh_from_db()
    assert not team.is_active
    assert admin_client.get(reverse("admin:taxonomy_category_jobs")).status_code == 200


def test_who_may_not_open_windows_gets_no_link_to_one(
    browser_of: Callable[[User], Client], viewer: User, make_job: Callable[..., Job]
) -> None:
    User.objects.filter(pk=viewer.pk).update(admin_access=True)
    viewer.refresh_from_db()
    make_job()
    browser = browser_of(viewer)
    for name in ("admin:taxonomy_picteam_changelist", "admin:index"):
        assert b"windows/window/add" not in browser.get(reverse(name)).content


def test_undo_of_extending_a_job_that_had_ended(admin_client: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    Job.objects.filter(pk=job.pk).update(end_date="2020-01-01", is_active=False, next_run_at=None)
    act(admin_client, "extend", job, end_date="2099-06-30", apply="1")
    assert "1 job is as before." in undo(admin_client)
    job.refresh_from_db()
    assert (job.end_date, job.is_active) == (dt.date(2020, 1, 1), False)
