"""Who may do what: every operation of the API and every page of the admin, for every role and kind of token.

A new endpoint or page fails here until it has a row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth import api_tokens
from accounts.models import User
from cronsched.openapi_views import openapi_document
from executions.models import Batch, BatchRun, Execution
from executions.targets.webhook import callback
from jobs.models import Job
from tests.security.inventory import NOBODY, operations

pytestmark = pytest.mark.django_db
V2 = "/api/v2"

# Who gets past the question who they are. `own`: the role user for an own job, admins for every job. `login`: no API
# token, whatever its owner's role and its scope.
EVERYBODY, LOGGED_IN, ADMINS, WRITERS, OWN = "everybody", "logged in", "admins", "writers", "own"
OWN_LOGIN, ADMIN_LOGIN = "own login", "admin login"
RULES: dict[str, str] = {
    f"GET {V2}/health": EVERYBODY,
    f"POST {V2}/auth/login": EVERYBODY,
    # Its address is signed.
    f"POST {V2}/callbacks/{{token}}": EVERYBODY,
    f"POST {V2}/auth/login/form": EVERYBODY,
    f"POST {V2}/auth/refresh": "refresh token",
    f"POST {V2}/auth/logout": OWN_LOGIN,
    f"GET {V2}/auth/verify": LOGGED_IN,
    f"GET {V2}/auth/me": LOGGED_IN,
    f"POST {V2}/auth/register": ADMIN_LOGIN,
    f"GET {V2}/auth/users": ADMINS,
    f"GET {V2}/auth/users/{{user_id}}": "oneself or admins",
    f"PUT {V2}/auth/users/{{user_id}}": "oneself or admins, by login",
    f"DELETE {V2}/auth/users/{{user_id}}": ADMIN_LOGIN,
    f"GET {V2}/auth/tokens": LOGGED_IN,
    f"POST {V2}/auth/tokens": OWN_LOGIN,
    f"DELETE {V2}/auth/tokens/{{token_id}}": OWN_LOGIN,
    f"GET {V2}/auth/sessions": LOGGED_IN,
    f"DELETE {V2}/auth/sessions/{{session_id}}": OWN_LOGIN,
    f"GET {V2}/audit": ADMINS,
    f"POST {V2}/jobs": WRITERS,
    f"POST {V2}/jobs/bulk-upload": WRITERS,
    f"POST {V2}/jobs/test-run": WRITERS,
    f"POST {V2}/imports": WRITERS,
    f"POST {V2}/imports/preview": WRITERS,
    f"PUT {V2}/jobs/{{job_id}}": OWN,
    f"DELETE {V2}/jobs/{{job_id}}": OWN,
    f"POST {V2}/jobs/{{job_id}}/execute": OWN,
    f"POST {V2}/executions/{{execution_id}}/cancel": OWN,
    f"POST {V2}/executions/{{execution_id}}/rerun": OWN,
    f"POST {V2}/jobs/{{job_id}}/enable-workflow": OWN,
    f"POST {V2}/jobs/{{job_id}}/fill": OWN,
    f"POST {V2}/jobs/{{job_id}}/single-runs": OWN,
    f"DELETE {V2}/jobs/{{job_id}}/single-runs/{{run_id}}": OWN,
    f"POST {V2}/batches/{{batch_id}}/cancel": OWN,
    f"POST {V2}/batches/{{batch_id}}/pause": OWN,
    f"POST {V2}/batches/{{batch_id}}/resume": OWN,
    f"GET {V2}/settings/slack": ADMINS,
    f"PUT {V2}/settings/slack": ADMINS,
    f"GET {V2}/scheduler/status": ADMINS,
    f"POST {V2}/scheduler/resync": ADMINS,
    # Questions that change nothing.
    f"POST {V2}/jobs/validate-cron": LOGGED_IN,
    f"POST {V2}/jobs/cron-preview": LOGGED_IN,
    f"POST {V2}/jobs/cron-description": LOGGED_IN,
}
# Lists that everybody reads and admins change.
SHARED = ("job-categories", "pic-teams", "calendars", "windows")
PREFERENCES = ("preferences", "ui-preferences")


def rule_of(method: str, path: str) -> str:
    """The row of an operation; families of operations have one row."""
    found = RULES.get(f"{method} {path}")
    if found:
        return found
    rest = path.removeprefix(f"{V2}/")
    if rest.startswith(SHARED):
        return LOGGED_IN if method == "GET" else ADMINS
    if rest.startswith(("secrets", "webhook-credentials")):
        return ADMINS if method == "GET" else ADMIN_LOGIN
    if rest.startswith("auth/users/") and rest.endswith(PREFERENCES):
        return "oneself or admins" if method == "GET" else "oneself or admins, by login"
    if rest.startswith("notifications"):
        return "notifications"
    if method == "GET" and rest.startswith(("jobs", "executions", "batches")):
        return LOGGED_IN
    return ""


OPERATIONS = operations(openapi_document())


def test_every_operation_has_a_row() -> None:
    assert [f"{method} {path}" for method, path in OPERATIONS if not rule_of(method, path)] == []
    known = {f"{method} {path}" for method, path in OPERATIONS}
    assert set(RULES) <= known


@pytest.fixture
def world(
    make_user: Callable[..., User], client_of: Callable[[User], APIClient], make_job: Callable[..., Job]
) -> dict[str, Any]:
    """Callers, and a job of somebody else with an execution that has ended."""
    owner = make_user("owner")
    job = make_job(by=owner)
    execution = Execution.objects.create(job=job, status="success", execution_type="webhook", target="x")
    run = BatchRun.objects.create(
        batch=Batch.objects.create(title="later", by=owner), job_id=job.pk, due_at=timezone.now() + dt.timedelta(days=1)
    )
    people = {role: make_user(f"a-{role}", role) for role in ("admin", "user", "viewer")}
    callers: dict[str, APIClient] = {"nobody": APIClient(raise_request_exception=False)}
    for role, person in people.items():
        callers[role] = client_of(person)
        for scope in ("read", "write"):
            client = APIClient(raise_request_exception=False)
            raw = api_tokens.make(person, scope, scope)[1]
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
            callers[f"{role} {scope} token"] = client
    callers["owner"] = client_of(owner)
    return {"callers": callers, "job": job, "execution": execution, "owner": owner, "run": run}


def allowed(rule: str, caller: str, method: str) -> bool:
    """Whether a caller gets past authentication and permissions, for an object of somebody else."""
    role, _, token = caller.partition(" ")
    role = "user" if role == "owner" else role
    if rule == EVERYBODY:
        return True
    if role == "nobody" or rule == "refresh token":
        return False
    if token == "read token" and method not in {"GET", "HEAD"}:
        return False
    if "login" in rule and rule != LOGGED_IN and token:
        return False
    if rule in {ADMINS, ADMIN_LOGIN} or rule.startswith("oneself or admins"):
        return role == "admin" or (caller == "owner" and rule.startswith("oneself"))
    if rule == WRITERS:
        return role in {"admin", "user"}
    if rule == OWN:
        return role == "admin" or caller == "owner"
    return True


CALLERS = [
    "nobody", "viewer", "user", "admin", "owner",
    *(f"{role} {scope} token" for role in ("viewer", "user", "admin") for scope in ("read", "write")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api(method: str, path: str, world: dict[str, Any], handed: Any, settings: Any) -> None:
    settings.SCHEDULER_ENABLED = False
    rule = rule_of(method, path)
    filled = path.format(
        job_id=world["job"].pk, execution_id=world["execution"].pk, user_id=world["owner"].pk, token_id=NOBODY,
        session_id="x", slug="x", category_id=NOBODY, team_id=NOBODY, notification_id=NOBODY, label_id=NOBODY,
        name="x", window_id=NOBODY, run_id=world["run"].pk, batch_id=world["run"].batch_id,
        token=callback.token_of(world["execution"].pk),
    )  # fmt: skip
    wrong = []
    # Callers who may not come first: what an admin deletes is there for all others.
    for caller in sorted(CALLERS, key=lambda one: allowed(rule, one, method)):
        answer = world["callers"][caller].generic(method, filled, "{}", content_type="application/json")
        passed = answer.status_code not in {401, 403}
        if rule == EVERYBODY and method == "POST":
            passed = answer.status_code in {400, 415}
        if passed != allowed(rule, caller, method):
            wrong.append(f"{caller}: {answer.status_code}")
    assert wrong == [], rule


# Which role sees the list of a model, and may add a row; whoever is not named gets 403.
PAGES: dict[str, tuple[str, str]] = {
    "jobs.job": ("all", "user"),
    "executions.execution": ("all", ""),
    "executions.batch": ("all", ""),
    "audit.changerecord": ("all", ""),
    "taxonomy.category": ("all", "admin"),
    "taxonomy.picteam": ("all", "admin"),
    "calendars.calendar": ("all", "admin"),
    "windows.window": ("all", "admin"),
    "scheduler.leadership": ("all", ""),
    "accounts.user": ("admin", "admin"),
    "accounts.apitoken": ("admin", "admin"),
    "accounts.loginsession": ("admin", ""),
    "accounts.websession": ("admin", ""),
    "settings_app.githubcredential": ("admin", "admin"),
    "settings_app.secret": ("admin", "admin"),
    "settings_app.webhookcredential": ("admin", "admin"),
    "settings_app.environmenttoken": ("admin", ""),
    "settings_app.slacksettings": ("admin", ""),
    "settings_app.preferences": ("admin", "admin"),
    "settings_app.uipreferences": ("admin", "admin"),
    "executions.worker": ("admin", ""),
    "jobs.revision": ("admin", ""),
    "notifications.event": ("admin", ""),
    "notifications.message": ("admin", ""),
    "notifications.pendingoutcome": ("admin", ""),
    "executions.pendingoutcome": ("admin", ""),
    "scheduler.resync": ("admin", ""),
    "scheduler.leaderterm": ("admin", ""),
    "django_apscheduler.djangojob": ("admin", ""),
    "django_apscheduler.djangojobexecution": ("admin", ""),
}
MODELS = sorted(f"{one._meta.app_label}.{one._meta.model_name}" for one in django_admin.site._registry)


def test_every_model_of_the_admin_has_a_row() -> None:
    assert [name for name in MODELS if name not in PAGES] == []


def may(who: str, role: str) -> bool:
    return who == "all" or role == "admin" or (who == "user" and role == "user")


@pytest.mark.parametrize("role", ["admin", "user", "viewer", "user without admin access", "nobody"])
def test_the_admin(role: str, make_user: Callable[..., User], browser_of: Callable[[User], Client]) -> None:
    browser = Client()
    if role != "nobody":
        browser = browser_of(make_user("person", role.split()[0], admin_access="without" not in role))
    inside = role in {"admin", "user", "viewer"}
    wrong = []
    for name in MODELS:
        sees, adds = PAGES[name]
        base = f"/admin/{name.replace('.', '/')}/"
        for path, who in ((base, sees), (f"{base}add/", adds), (f"{base}{NOBODY}/delete/", None)):
            status = browser.get(path).status_code
            if not inside:
                good = status == 302
            elif who is None:
                # Nobody gets a form for deleting what is not there.
                good = status in {302, 403}
            else:
                good = (status in {200, 302}) if who and may(who, role) else status == 403
            if not good:
                wrong.append(f"{path}: {status}")
    assert wrong == []
