"""The admin: every model is listed, searchable and filterable, and its verbs go through the services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from executions.models import Execution
from jobs.models import Job
from taxonomy.models import Category, PicTeam

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def changelists() -> Iterator[Any]:
    for model in django_admin.site._registry:
        yield pytest.param(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", id=str(model._meta.label)
        )


@pytest.mark.parametrize(
    ("page", "sent", "said"),
    [
        ("taxonomy_picteam_add", {"name": "A", "max_concurrent": "0"}, "This value is not possible here."),
        ("calendars_calendar_add", {"name": "A", "slug": "A B", "weekend_days": ["5"]}, ""),
    ],
)
def test_no_page_tells_the_name_of_a_constraint(browser: Client, page: str, sent: dict[str, Any], said: str) -> None:
    answer = browser.post(reverse(f"admin:{page}"), sent)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert said in text
    assert "Constraint" not in text


def test_names_without_latin_letters_get_a_number_as_slug(browser: Client) -> None:
    for name in ("請求処理", "決済"):
        assert (
            browser.post(reverse("admin:taxonomy_category_add"), {"name": name, "is_active": "on"}).status_code == 302
        )
    assert browser.post(reverse("admin:taxonomy_picteam_add"), {"name": "品質", "is_active": "on"}).status_code == 302
    slugs = Category.objects.filter(name__in=["請求処理", "決済"]).values_list("slug", flat=True)
    assert set(slugs) == {"category-1", "category-2"}
    assert PicTeam.objects.get(name="品質").slug == "team-1"


def test_a_form_that_is_out_of_date_says_so(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    answer = client.post(reverse("admin:my_account"), {"act": "preferences"})
    assert answer.status_code == 403
    assert "This form is out of date." in answer.content.decode()


def test_a_browser_gets_a_page_for_what_is_not_there_and_a_program_json(client: Client) -> None:
    assert "There is nothing at this address." in client.get("/nothing", HTTP_ACCEPT="text/html").content.decode()
    assert client.get("/nothing").json()["error"] == "Not found"
    assert client.get("/api/v2/nothing", HTTP_ACCEPT="text/html").json()["error"] == "Not found"


@pytest.mark.parametrize("name", list(changelists()))
def test_every_model_is_listed_and_searchable(browser: Client, make_job: Callable[..., Job], name: str) -> None:
    job = make_job()
    Execution.objects.create(job=job, trigger_type="manual", execution_type="webhook", target="x")
    assert browser.get(reverse(name), follow=True).status_code == 200
    assert browser.get(reverse(name), {"q": "nightly"}, follow=True).status_code == 200


def test_only_admins_enter(user: User, viewer: User, browser: Client) -> None:
    for account in (user, viewer):
        other = Client()
        other.force_login(account)
        assert other.get(reverse("admin:index")).status_code == 302
    assert browser.get(reverse("admin:index")).status_code == 200


def test_login_takes_a_name_or_an_address_and_is_throttled(admin: User, settings: Any) -> None:
    settings.LOGIN_FAILURES_ALLOWED = 2
    login = reverse("admin:login")
    for identity in ("ADA", "ada@example.com"):
        assert Client().post(login, {"username": identity, "password": "correct horse battery"}).status_code == 302
    for _ in range(3):
        assert Client().post(login, {"username": "ada", "password": "wrong"}).status_code == 200
    assert Client().post(login, {"username": "ada", "password": "correct horse battery"}).status_code == 200


def form(team: PicTeam, general: Category, **changes: str) -> dict[str, str]:
    return {
        "name": "From the admin", "cron_expression": "0 9 * * 1-5", "target_url": "https://hooks.example.com/",
        "metadata": "{}",
        "end_date": "2099-12-31", "pic_team": str(team.pk), "misfire_policy": "run_once",
        "on_closed_day": "run", "shift_limit_days": "10", "shift_open_days": "0",
        "misfire_grace_seconds": "60", "overlap_policy": "allow",
        "timeout_seconds": "10", "connect_timeout_seconds": "10", "max_attempts": "1", "retry_backoff_seconds": "10",
        "retry_deadline_seconds": "60",
        "jitter_seconds": "0", "category": str(general.pk), "notification_emails": "", "is_active": "on",
        "target_kind": "webhook", "run_limit_minutes": "360", "wait_for_run": "on",
        **changes,
    }  # fmt: skip


def test_a_job_is_made_and_changed_as_by_the_api(
    browser: Client, admin: User, team: PicTeam, general: Category
) -> None:
    assert browser.post(reverse("admin:jobs_job_add"), form(team, general)).status_code == 302
    job = Job.objects.get()
    assert (job.created_by, job.next_run_at is not None) == (admin, True)
    page = reverse("admin:jobs_job_change", args=[job.pk])
    assert browser.get(page).status_code == 200
    browser.post(page, form(team, general, cron_expression="5 9 * * *"))
    job.refresh_from_db()
    assert job.cron_expression == "5 9 * * *"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cron_expression", "99 * * * *", "out of range"),
        ("target_url", "http://169.254.169.254/", "not allowed"),
        ("metadata", "[1]", "JSON object"),
        ("target_url", "", "A target is required"),
        ("end_date", "2020-01-01", "has passed"),
    ],
)
def test_what_the_api_refuses_the_admin_refuses(
    browser: Client, team: PicTeam, general: Category, field: str, value: str, said: str
) -> None:
    answer = browser.post(reverse("admin:jobs_job_add"), form(team, general, **{field: value}))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Job.objects.exists()


def act(browser: Client, name: str, *jobs: Job, **more: str) -> str:
    answer = browser.post(
        reverse("admin:jobs_job_changelist"),
        {"action": name, "_selected_action": [str(j.pk) for j in jobs], **more},
        follow=True,
    )
    return answer.content.decode()


def test_enable_and_disable(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    assert "1 job is disabled." in act(browser, "disable", job, apply="1")
    job.refresh_from_db()
    assert (job.is_active, job.next_run_at) == (False, None)
    assert "1 job is enabled." in act(browser, "enable", job)
    Job.objects.update(is_active=False, next_run_at=None, end_date="2020-01-01")
    assert "has passed" in act(browser, "enable", job)


def test_run_now(
    browser: Client,
    make_job: Callable[..., Job],
    handed: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    job = make_job()
    with django_capture_on_commit_callbacks(execute=True):
        act(browser, "run_now", job, apply="1")
    assert [delivery.job_id for delivery in handed] == [job.pk]


def test_the_last_admin_stays_and_nobody_deletes_themselves(browser: Client, admin: User) -> None:
    page = reverse("admin:accounts_user_change", args=[admin.pk])
    answer = browser.post(page, {"username": "ada", "email": "ada@example.com", "role": "viewer", "is_active": "on"})
    assert "Ask another admin" in answer.content.decode()
    assert browser.post(reverse("admin:accounts_user_delete", args=[admin.pk]), {"post": "yes"}).status_code == 403


def test_general_stays(browser: Client, general: Category) -> None:
    page = reverse("admin:taxonomy_category_change", args=[general.pk])
    assert "neither renamed nor disabled" in browser.post(page, {"name": "Other", "is_active": "on"}).content.decode()
    assert (
        browser.post(reverse("admin:taxonomy_category_delete", args=[general.pk]), {"post": "yes"}).status_code == 403
    )


def test_a_job_past_its_end_date_is_not_enabled_by_the_form(
    browser: Client, team: PicTeam, general: Category, make_job: Callable[..., Job]
) -> None:
    job = make_job()
    Job.objects.update(end_date="2024-01-01", is_active=False, next_run_at=None)
    page = reverse("admin:jobs_job_change", args=[job.pk])
    answer = browser.post(page, form(team, general, name=job.name, end_date="2024-01-01"))
    assert answer.status_code == 200
    assert "has passed" in answer.content.decode()


def test_what_is_refused_in_the_last_moment_is_told(
    browser: Client, team: PicTeam, general: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs import services
    from jobs.validation import duplicate_name

    def lost(*_: Any, **__: Any) -> None:
        raise duplicate_name("From the admin")

    monkeypatch.setattr(services, "create_job", lost)
    answer = browser.post(reverse("admin:jobs_job_add"), form(team, general), follow=True)
    assert "already exists" in answer.content.decode()


def test_admins_change_neither_their_own_role_nor_status(browser: Client, admin: User, make_user: Any) -> None:
    make_user("boss", "admin")
    page = reverse("admin:accounts_user_change", args=[admin.pk])
    answer = browser.post(page, {"username": "ada", "email": "ada@example.com", "role": "viewer", "is_active": "on"})
    assert "Ask another admin" in answer.content.decode()
