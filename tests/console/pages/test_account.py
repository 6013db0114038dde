"""My account, the inbox, the palette and the first steps: pages of every user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.auth import api_tokens
from accounts.models import ApiToken, User
from audit.models import ChangeRecord
from console.pages.execution import summary
from executions.models import Status
from jobs import services
from jobs.models import Job
from notifications.models import Audience, Event, EventType
from settings_app.services import dashboard_scope_of, preferences_of
from taxonomy.models import PicTeam
from tests.conftest import PASSWORD
from tests.support.executions import ran

pytestmark = pytest.mark.django_db
ACCOUNT = "admin:my_account"


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("uma", admin_access=True)


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("vic", "viewer", admin_access=True)


@pytest.mark.parametrize("role", ["admin", "user", "viewer"])
@pytest.mark.parametrize("page", ["my_account", "inbox", "palette", "calendar", "index"])
def test_every_role_has_these_pages(
    make_user: Callable[..., User], browser_of: Callable[[User], Client], role: str, page: str
) -> None:
    assert browser_of(make_user("somebody", role, admin_access=True)).get(reverse(f"admin:{page}")).status_code == 200


def test_preferences_are_the_users_own(user: User, browser_of: Callable[[User], Client]) -> None:
    browser_of(user).post(reverse(ACCOUNT), {"act": "preferences", "daily_digest": "on"})
    stored = preferences_of(user)
    assert (stored.daily_digest, stored.email_on_job_failure) == (True, False)


def test_the_language_is_that_of_the_account(user: User, browser_of: Callable[[User], Client]) -> None:
    browser, account = browser_of(user), reverse("admin:my_account")
    choice = {"act": "preferences", "language": "ja"}
    assert "設定を保存しました。" in browser.post(account, choice, follow=True).content.decode()
    page = browser.get(reverse("admin:index"), headers={"Accept-Language": "en"})
    assert (page["Content-Language"], "ダッシュボード" in page.content.decode()) == ("ja", True)
    assert "ダッシュボード" in browser_of(user).get(reverse("admin:index")).content.decode()
    assert "error" in browser.get("/api/v2/jobs").json() and "認証" not in browser.get("/api/v2/jobs").content.decode()
    browser.post(account, {**choice, "language": ""})
    assert browser.get(reverse("admin:index"), headers={"Accept-Language": "en"})["Content-Language"] == "en"


def test_a_token_is_shown_once_and_revoked(user: User, browser_of: Callable[[User], Client]) -> None:
    browser = browser_of(user)
    made = browser.post(reverse(ACCOUNT), {"act": "make_token", "name": "ci", "scope": "read", "days": "30"})
    raw = made.context["new_token"]
    assert made["Cache-Control"].startswith("no-store")
    assert api_tokens.used(raw, "GET").user == user
    assert raw not in browser.get(reverse(ACCOUNT)).content.decode()
    browser.post(reverse(ACCOUNT), {"act": "revoke_token", "id": str(ApiToken.objects.get().pk)})
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("data", [
    {"act": "make_token", "name": "", "scope": "read", "days": "30"},
    {"act": "make_token", "name": "x", "scope": "root", "days": "30"},
    {"act": "make_token", "name": "x", "scope": "read", "days": "many"},
    {"act": "revoke_token", "id": "x"},
    {"act": "end_session", "id": "x"},
    {"act": "fly"},
    {},
])  # fmt: skip
def test_odd_forms_change_nothing(browser: Client, data: dict[str, str]) -> None:
    assert browser.post(reverse(ACCOUNT), data).status_code == 302
    assert not ApiToken.objects.exists()


class TestProfile:
    def save(self, browser: Client, user: User, **changes: str) -> User:
        sent = {"username": user.username, "email": user.email, "current_password": PASSWORD, **changes}
        browser.post(reverse(ACCOUNT), {"act": "profile", **sent})
        return User.objects.get(pk=user.pk)

    def test_name_and_address(self, browser: Client, admin: User) -> None:
        saved = self.save(browser, admin, username="New_Name", email="New@example.com")
        assert (saved.username, saved.email) == ("new_name", "new@example.com")
        assert browser.get(reverse(ACCOUNT)).status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"current_password": "wrong"},
            {"current_password": ""},
            {"username": "taken"},
            {"username": "with space"},
            {"username": ""},
            {"email": "no address"},
        ],
        ids=str,
    )
    def test_both_or_neither(
        self, browser: Client, admin: User, make_user: Callable[..., User], changes: dict[str, str]
    ) -> None:
        make_user("taken")
        saved = self.save(browser, admin, **{"username": "new-name", "email": "new@example.com", **changes})
        assert (saved.username, saved.email) == (admin.username, admin.email)

    def test_without_a_password_there_is_no_form(self, user: User, browser_of: Callable[[User], Client]) -> None:
        user.set_unusable_password()
        user.save()
        assert 'value="profile"' not in browser_of(user).get(reverse(ACCOUNT)).content.decode()


def test_a_token_of_somebody_else_is_not_revoked(user: User, admin: User, browser_of: Callable[[User], Client]) -> None:
    token, _raw = api_tokens.make(admin, "mine")
    browser_of(user).post(reverse(ACCOUNT), {"act": "revoke_token", "id": str(token.pk)})
    assert ApiToken.objects.filter(pk=token.pk).exists()


def test_the_bell_counts_what_is_unread(user: User, browser_of: Callable[[User], Client], admin: User) -> None:
    for number in range(3):
        Event.objects.create(title=f"event {number}", message="token=s3cr3t", type=EventType.ERROR)
    Event.objects.create(
        title="not mine", message="x", type=EventType.INFO, audience=Audience.OWNER_AND_ADMINS, owner=admin
    )
    browser = browser_of(user)
    shown = browser.get(reverse("admin:inbox"))
    assert shown.context["unread"] == 3
    page = shown.content.decode()
    assert "event 2" in page and "not mine" not in page and "s3cr3t" not in page
    browser.post(reverse("admin:inbox"))
    assert browser.get(reverse("admin:inbox")).context["unread"] == 0


def test_the_inbox_shows_successes_only_if_asked(user: User, browser_of: Callable[[User], Client]) -> None:
    Event.objects.create(title="went well", message="x", type=EventType.SUCCESS)
    Event.objects.create(title="went wrong", message="x", type=EventType.ERROR)
    browser = browser_of(user)
    shown = browser.get(reverse("admin:inbox"))
    assert shown.context["unread"] == 1
    assert [one.event.title for one in shown.context["notifications"]] == ["went wrong"]
    assert len(browser.get(reverse("admin:inbox"), {"all": "1"}).context["notifications"]) == 2


def test_reading_leaves_no_trail(browser: Client) -> None:
    before = ChangeRecord.objects.count()
    for name in ("my_account", "settings_app_environmenttoken_changelist", "settings_app_slacksettings_changelist"):
        assert browser.get(reverse(f"admin:{name}"), follow=True).status_code == 200
    assert ChangeRecord.objects.count() == before


def test_this_session_is_marked_and_not_ended(
    browser: Client, admin: User, browser_of: Callable[[User], Client]
) -> None:
    other = browser_of(admin)
    page = browser.get(reverse(ACCOUNT)).content.decode()
    assert page.count("this session") == 1
    assert page.count('value="end_session"') == 1
    assert other.get(reverse(ACCOUNT)).status_code == 200


def test_the_address_of_a_button_is_a_page(browser: Client, make_job: Callable[..., Job]) -> None:
    answer = browser.get(reverse("admin:jobs_job_pause", args=[make_job().pk]))
    assert answer.status_code == 405
    assert "This address is that of a button." in answer.content.decode()


def test_the_palette_finds_jobs_teams_pages_and_actions(
    browser: Client, make_job: Callable[..., Job], team: PicTeam
) -> None:
    job = make_job(name="Invoice export")

    def found(text: str) -> list[tuple[str, str]]:
        items = browser.get(reverse("admin:palette"), {"q": text}).json()["items"]
        return [(item["title"], item["url"]) for item in items]

    assert found("invoice")[0] == ("Invoice export", reverse("admin:jobs_job_view", args=[job.pk]))
    failing = f"/admin/jobs/job/?pic_team__id__exact={team.pk}&attention=failing"
    assert (f"{team.name}: failing jobs", failing) in found("qa")
    assert ("Calendar", reverse("admin:calendar")) in found("cal")
    assert ("Windows", reverse("admin:windows_window_changelist")) in found("windows")
    assert ("Audit trail", reverse("admin:audit_changerecord_changelist")) in found("audit")
    run = ran(job, Status.FAILED)
    page = reverse("admin:executions_execution_change", args=[run.pk])
    for text in (str(run.pk), str(run.pk)[:13], "invoice", "runs invoice"):
        assert page in [url for _title, url in found(text)], text
    assert found("runs invoice")[0][0].startswith("Invoice export: Failed")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("run", "Invoice export: Running"),
        ("pause", "Invoice export is paused until"),
        ("skip", "The next run of Invoice export is skipped."),
        ("extend", "Invoice export runs until"),
        ("disable", "Invoice export is disabled."),
        ("enable", "Invoice export is enabled."),
        ("acknowledge", "No more reminders of Invoice export until it recovers."),
    ],
)
def test_the_palette_acts_on_a_job(
    word: str, told: str, browser: Client, make_job: Callable[..., Job], handed: list[Any]
) -> None:
    job = make_job(name="Invoice export")
    ran(job, Status.FAILED, ago=60)
    Job.objects.filter(pk=job.pk).update(last_status=Status.FAILED)
    services.set_active(job, word != "enable", by=job.created_by)
    one = browser.get(reverse("admin:palette"), {"q": f"{word} invoice"}).json()["items"][0]
    assert told in browser.post(one["url"], one["fields"], follow=True).content.decode()


def test_an_action_alone_offers_the_jobs_with_which_it_may_be_done(
    browser: Client, make_job: Callable[..., Job], make_user: Callable[..., User]
) -> None:
    make_job(name="well")
    bad, own = make_job(name="bad"), make_job(name="of a user", by=make_user("uma"))
    run = ran(bad, Status.FAILED)
    Job.objects.filter(pk=bad.pk).update(last_status=Status.FAILED)

    def found(text: str) -> list[str]:
        items = browser.get(reverse("admin:palette"), {"q": text}).json()["items"]
        return [item["title"] for item in items if item["kind"] != "Page"]

    assert found("acknowledge") == ["Acknowledge: bad"]
    assert found("enable") == []
    assert found("disable") == ["Disable: bad", f"Disable: {own.name}", "Disable: well"]
    assert found("runs") == [summary(run)]
    assert found("runs nothing like it") == []


def test_a_job_that_is_called_like_an_action_comes_first(browser: Client, make_job: Callable[..., Job]) -> None:
    make_job(name="Stale users")
    make_job(name="Disable stale users")
    items = browser.get(reverse("admin:palette"), {"q": "disable stale"}).json()["items"]
    assert [(item["title"], item["fields"]) for item in items[:2]] == [
        ("Disable stale users", None), ("Disable: Disable stale users", {}),
    ]  # fmt: skip
    assert browser.get(reverse("admin:palette"), {"q": "disable"}).json()["items"][0]["fields"] is None


def test_an_action_finds_ones_own_job_among_many(
    user: User, browser_of: Callable[[User], Client], make_job: Callable[..., Job]
) -> None:
    for number in range(10):
        make_job(name=f"Export {number}")
    mine = make_job(name="Export of mine")
    Job.objects.filter(pk=mine.pk).update(created_by=user)
    items = browser_of(user).get(reverse("admin:palette"), {"q": "run export"}).json()["items"]
    assert [item["title"] for item in items if item["fields"] is not None] == ["Run now: Export of mine"]


def test_the_palette_offers_no_action_to_who_may_not(
    viewer: User, browser_of: Callable[[User], Client], make_job: Callable[..., Job]
) -> None:
    make_job(name="Invoice", target_url="https://x.example.com/?token=s3cr3t")
    ask = browser_of(viewer).get
    words = ("run", "edit", "pause", "skip", "extend", "disable", "enable", "acknowledge")
    for text in ("s3cr3t", *(f"{word} invoice" for word in words)):
        items = ask(reverse("admin:palette"), {"q": text}).json()["items"]
        assert [item for item in items if item["fields"] is not None or item["kind"] == "Job"] == [], text


def test_the_first_steps_tick_themselves(browser: Client, make_job: Callable[..., Job], make_user: Any) -> None:
    def steps() -> list[bool]:
        return [step["is_done"] for step in browser.get(reverse("admin:index")).context["board"]["checklist"]]

    assert steps() == [True, False, False, False, False]
    job = make_job()
    assert steps()[:3] == [True, True, False]
    ran(job, Status.SUCCESS)
    make_user("colleague", "user")
    assert steps() == [True, True, True, False, True]


def test_the_first_job_is_filled_in(browser: Client, team: PicTeam, settings: Any) -> None:
    form = browser.get(reverse("admin:jobs_job_add"), {"first": "1"}).context["adminform"].form
    assert form.initial["target_url"] == settings.ECHO_URL
    assert form.initial["pic_team"] == team.pk
    assert form.initial["end_date"]


def test_users_open_the_dashboard_on_their_own_jobs(
    user: User, admin: User, browser_of: Callable[[User], Client], make_job: Callable[..., Job], team: PicTeam
) -> None:
    make_job(name="of the admin", by=admin)
    browser = browser_of(user)
    assert browser.get(reverse("admin:index")).context["board"]["counts"]["all"] == 0
    browser.post(reverse("admin:dashboard_scope"), {"scope": str(team.pk)})
    assert dashboard_scope_of(user) == str(team.pk)
    board = browser.get(reverse("admin:index")).context["board"]
    assert (board["scope"].title, board["counts"]["all"]) == (team.name, 1)
    browser.post(reverse("admin:dashboard_scope"), {"scope": "nonsense"})
    assert browser.get(reverse("admin:index")).context["board"]["scope"].value == "all"
