"""Every page of the admin, as every role, on a desktop and a phone, in light and dark, and in Japanese.

Bulk actions that ask first, histories, and the pages for what is forbidden or not there are among them. It fails on a
control without an edge or a name, one that Tab does not reach, controls that overlap, text of too little contrast, raw
names of constraints, bare error pages, rows that cut a cell off or are higher than 96 px on a phone, and English
sentences on Japanese pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long

PASSWORD = "correct horse battery"
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
# Pages that everybody with access to the admin may open.
COMMON = [
    "", "calendar/", "calendar/?view=week", "calendar/?view=agenda", "calendar/?at=540&until=599", "jobs/job/",
    "jobs/job/?attention=failing&q=x", "executions/execution/", "executions/execution/?status__exact=failed&when=night",
    "executions/batch/", "taxonomy/category/", "taxonomy/picteam/", "audit/changerecord/", "scheduler/leadership/",
    "inbox/", "account/", "password_change/", "calendars/calendar/", "windows/window/",
]  # fmt: skip
MAKERS = ["jobs/job/add/", "jobs/job/add/?first=1", "import/", "import/schedules/"]
ADMINS = [
    "taxonomy/category/add/", "taxonomy/picteam/add/",
    "calendars/calendar/add/", "windows/window/add/", "accounts/user/", "accounts/user/add/",
    "accounts/apitoken/",
    "accounts/apitoken/add/", "accounts/loginsession/", "accounts/websession/", "settings_app/githubcredential/",
    "settings_app/githubcredential/add/", "settings_app/secret/", "settings_app/secret/add/",
    "settings_app/webhookcredential/", "settings_app/webhookcredential/add/",
    "settings_app/environmenttoken/", "settings_app/slacksettings/",
    "settings_app/preferences/", "settings_app/uipreferences/", "notifications/event/", "notifications/message/",
    "executions/worker/", "executions/pendingoutcome/", "scheduler/resync/", "scheduler/leaderterm/",
    "django_apscheduler/djangojob/", "django_apscheduler/djangojobexecution/", "jobs/revision/",
]  # fmt: skip
# All that axe knows; a theme changes colours only.
RULES: dict[str, list[str]] = {"light": [], "dark": ["color-contrast"]}
AXE = Axe().axe_script
SCRIPT = (Path(__file__).parent / "look.js").read_text()
_ENGLISH = re.compile(r"[A-Za-z']{2,}(?: [A-Za-z']{2,}){2,}")
_RAW = re.compile(r"Constraint [“\"]|Traceback|DoesNotExist|IntegrityError|\w+_(?:valid|once|unique|known)\b")
# Names of products and of what cannot be translated.
_NAMES = (
    "GitHub Actions",
    "Actions: read and write",
    "Content Security Policy",
    "Asia/Tokyo",
    "Webhook URL",
    "Amazon EventBridge",
    "Google Cloud Scheduler",
)


@pytest.fixture(scope="session")
def seen(installation: Installation, _target: Target) -> dict[str, str]:
    """A job with a failed execution, a calendar, an open window, and an account of each role."""
    team(installation.admin)
    job = make_job(
        installation.admin, name="Seen", target_url=_target.url + "/status/500", enable_email_notifications=True
    )
    asked = installation.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
    wait_until(lambda: installation.admin.get(f"/executions/{asked}").json()["execution"]["status"] == "failed")
    installation.admin.put(f"/jobs/{job['id']}", json={"timeout_seconds": 5})
    days = [{"date": "2026-12-31", "label": "年末年始"}]
    calendar = installation.admin.post(
        "/calendars", json={"name": "東京", "slug": "tokyo", "country": "JP", "days": days}
    ).json()
    paused = make_job(installation.admin, name="止めている", calendar="東京", on_closed_day="previous_open")
    frozen = installation.admin.post(
        "/windows", json={"name": "凍結", "reason": "release", "jobs": [paused["id"]]}
    ).json()
    for role in ("user", "viewer"):
        account = {"username": f"page-{role}", "email": f"page-{role}@example.com", "password": PASSWORD, "role": role}
        installation.admin.post("/auth/register", json=account)
        code = (
            f"from accounts.models import User; User.objects.filter(username='page-{role}').update(admin_access=True)"
        )
        installation.manage("shell", "-c", code)
    run = {"at": "2099-01-01T09:00:00+09:00"}
    assert installation.admin.post(f"/jobs/{job['id']}/single-runs", json=run).status_code == 201
    batches = installation.admin.get("/batches").json()["batches"]
    teams = installation.admin.get("/pic-teams").json()["pic_teams"]
    categories = installation.admin.get("/job-categories").json()["categories"]
    users = installation.admin.get("/auth/users").json()["users"]
    return {
        "batch": batches[0]["id"], "team": teams[0]["id"], "category": categories[0]["id"], "user": users[0]["id"],
        "job": job["id"], "execution": asked, "paused": paused["id"], "calendar": calendar["calendar"]["id"],
        "window": frozen["window"]["id"],
    }  # fmt: skip


# What a role is refused, and the status.
REFUSED = {
    "admin": {"nowhere/": 404},
    "user": {"nowhere/": 404, "accounts/user/": 403},
    "viewer": {"nowhere/": 404, "accounts/user/": 403},
}


def login_of(role: str) -> dict[str, Any]:
    login = {} if role == "admin" else {"username": f"page-{role}", "password": PASSWORD}
    return {**login, "refused": REFUSED[role]}


def pages_of(role: str, seen: dict[str, str]) -> list[str]:
    job, execution = f"jobs/job/{seen['job']}/", f"executions/execution/{seen['execution']}/change/"
    pages = [*COMMON, job, f"jobs/job/{seen['paused']}/", f"{job}explain/?at=2026-11-24T09:00", execution]
    pages += [f"executions/batch/{seen['batch']}/change/", *REFUSED[role]]
    if role != "viewer":
        pages += MAKERS
    if role == "admin":
        calendar, window = f"calendars/calendar/{seen['calendar']}/change/", f"windows/window/{seen['window']}/change/"
        pages += [*ADMINS, f"{job}change/", f"{job}delete/", calendar, window, f"{job}run-with/", f"{job}fill/"]
        pages += [
            f"accounts/user/{seen['user']}/change/",
            f"calendars/calendar/{seen['calendar']}/delete/", f"{job}history/",
            f"taxonomy/picteam/{seen['team']}/history/", f"accounts/user/{seen['user']}/history/",
            f"taxonomy/picteam/{seen['team']}/change/", f"taxonomy/category/{seen['category']}/change/",
            "../second-factor/",
        ]  # fmt: skip
    return pages


ACTIONS = ("jobs/job/", "executions/execution/", "taxonomy/picteam/", "accounts/user/", "settings_app/secret/")
CHOOSE = """action => {
  for (const box of document.querySelectorAll('.action-select')) box.checked = true;
  const choice = document.querySelector('select[name=action]');
  choice.value = action;
  HTMLFormElement.prototype.submit.call(choice.form);
}"""


def arrive(page: Page, path: str) -> int:
    """Open a page, `list#action` by choosing the action for every row; returns the status of the list."""
    path, _, action = path.partition("#")
    answer = page.goto(path)
    if action:
        with page.expect_navigation():
            page.evaluate(CHOOSE, action)
    # What the scripts of a form ask the server; other pages are whole when they are loaded.
    if "/add/" in path or path.endswith("/change/"):
        page.wait_for_load_state("networkidle")
    return answer.status if answer else 0


def asking(page: Page, role: str) -> list[str]:
    """The bulk actions that ask before they act: their names end in an ellipsis."""
    found = []
    for path in ACTIONS[: None if role == "admin" else 2]:
        page.goto(path)
        names = page.eval_on_selector_all(
            "select[name=action] option", "all => all.filter(one => /…$/.test(one.text.trim())).map(one => one.value)"
        )
        found += [f"{path}#{name}" for name in names]
    return found


def visit(page: Page, path: str, role: str) -> list[str]:
    """What is wrong with a page in the size of the window, in light and in dark."""
    status = arrive(page, path)
    if status != REFUSED[role].get(path, 200):
        return [f"answered {status}"]
    found = list(page.evaluate(f"{SCRIPT}\nlook()"))
    found += [f"raw: {text.strip()[:80]}" for text in page.evaluate(f"{SCRIPT}\ntexts()") if _RAW.search(text)]
    page.evaluate(AXE)
    for scheme, rules in RULES.items():
        page.evaluate(f"document.documentElement.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        for one in page.evaluate("options => axe.run(options).then(found => found.violations)", options):
            found.append(f"{scheme}: {one['id']}: " + "; ".join(node["html"][:140] for node in one["nodes"][:3]))
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", ["admin", "user", "viewer"])
def test_every_page(open_page: Callable[..., Page], seen: dict[str, str], role: str, size: str) -> None:
    page = open_page(viewport=SIZES[size], **login_of(role))
    pages = pages_of(role, seen)
    if (role, size) in {("admin", "desktop"), ("user", "phone")}:
        pages += asking(page, role)
    wrong = {path: found for path in pages if (found := visit(page, path, role))}
    assert not wrong, "\n".join(f"{path or 'dashboard'}:\n   " + "\n   ".join(found) for path, found in wrong.items())


@pytest.mark.parametrize(
    ("role", "size"), [("admin", "desktop"), ("admin", "phone"), ("user", "desktop"), ("viewer", "phone")]
)
def test_no_english_sentence_on_a_japanese_page(
    open_page: Callable[..., Page], seen: dict[str, str], role: str, size: str
) -> None:
    page = open_page(locale="ja", viewport=SIZES[size], **login_of(role))
    wrong: dict[str, Any] = {}
    for path in [*pages_of(role, seen), *(asking(page, role) if size == "desktop" else [])]:
        arrive(page, path)
        texts = {" ".join(text.split()) for text in page.evaluate(f"{SCRIPT}\ntexts()")}
        odd = {text[:100] for text in texts if _ENGLISH.search(text) and not any(name in text for name in _NAMES)}
        if odd:
            wrong[path] = sorted(odd)
    assert not wrong, "\n".join(f"{path or 'dashboard'}: {found}" for path, found in wrong.items())
