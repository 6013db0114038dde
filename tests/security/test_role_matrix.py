"""Who may do what: every operation of the API and every page of the admin, for every role and kind of token.

A new endpoint or page fails here until it has a row.
"""

from __future__ import annotations

import datetime as dt
import re
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
from tests.security.inventory import NOBODY, admin_patterns, filled, operations, patterns
from windows.models import Window

pytestmark = pytest.mark.django_db
V2 = "/api/v2"

# Who gets past the question who they are. `own`: the role user for an own job, admins for every job. `login`: no API
# token, whatever its owner's role and its scope. The number: what they are answered then, to an empty body; a second
# one: what those are answered who come later. All others get 401 without a login, and 403.
EVERYBODY, LOGGED_IN, ADMINS, WRITERS, OWN = "everybody", "logged in", "admins", "writers", "own"
OWN_LOGIN, ADMIN_LOGIN = "own login", "admin login"
ONESELF, ONESELF_LOGIN = "oneself or admins", "oneself or admins, by login"
RULES: dict[str, tuple[Any, ...]] = {
    f"GET {V2}/health": (EVERYBODY, 200),
    f"POST {V2}/auth/login": (EVERYBODY, 400),
    # Its address is signed.
    f"POST {V2}/callbacks/{{token}}": (EVERYBODY, 400),
    f"POST {V2}/auth/login/form": (EVERYBODY, 400),
    f"POST {V2}/auth/refresh": ("refresh token", 401),
    f"POST {V2}/auth/logout": (OWN_LOGIN, 200),
    f"GET {V2}/auth/verify": (LOGGED_IN, 200),
    f"GET {V2}/auth/me": (LOGGED_IN, 200),
    f"POST {V2}/auth/register": (ADMIN_LOGIN, 400),
    f"GET {V2}/auth/users": (ADMINS, 200),
    f"GET {V2}/auth/users/{{user_id}}": (ONESELF, 200),
    f"PUT {V2}/auth/users/{{user_id}}": (ONESELF_LOGIN, 400),
    f"DELETE {V2}/auth/users/{{user_id}}": (ADMIN_LOGIN, 200),
    f"GET {V2}/auth/tokens": (LOGGED_IN, 200),
    f"POST {V2}/auth/tokens": (OWN_LOGIN, 400),
    f"DELETE {V2}/auth/tokens/{{token_id}}": (OWN_LOGIN, 404),
    f"GET {V2}/auth/sessions": (LOGGED_IN, 200),
    f"DELETE {V2}/auth/sessions/{{session_id}}": (OWN_LOGIN, 404),
    f"GET {V2}/audit": (ADMINS, 200),
    f"POST {V2}/jobs": (WRITERS, 400),
    f"POST {V2}/jobs/bulk-upload": (WRITERS, 400),
    f"POST {V2}/jobs/test-run": (WRITERS, 400),
    f"POST {V2}/imports": (WRITERS, 400),
    f"POST {V2}/imports/preview": (WRITERS, 400),
    f"PUT {V2}/jobs/{{job_id}}": (OWN, 200),
    f"DELETE {V2}/jobs/{{job_id}}": (OWN, 200, 404),
    f"POST {V2}/jobs/{{job_id}}/execute": (OWN, 200),
    f"POST {V2}/executions/{{execution_id}}/cancel": (OWN, 409),
    f"POST {V2}/executions/{{execution_id}}/rerun": (OWN, 202),
    f"POST {V2}/jobs/{{job_id}}/enable-workflow": (OWN, 409),
    f"POST {V2}/jobs/{{job_id}}/fill": (OWN, 400),
    f"POST {V2}/jobs/{{job_id}}/single-runs": (OWN, 400),
    f"DELETE {V2}/jobs/{{job_id}}/single-runs/{{run_id}}": (OWN, 200, 409),
    f"POST {V2}/batches/{{batch_id}}/cancel": (OWN, 200, 409),
    f"POST {V2}/batches/{{batch_id}}/pause": (OWN, 409),
    f"POST {V2}/batches/{{batch_id}}/resume": (OWN, 200),
    f"GET {V2}/settings/slack": (ADMINS, 200),
    f"PUT {V2}/settings/slack": (ADMINS, 200),
    f"GET {V2}/scheduler/status": (ADMINS, 200),
    f"POST {V2}/scheduler/resync": (ADMINS, 409),
    # Questions that change nothing.
    f"POST {V2}/jobs/validate-cron": (LOGGED_IN, 200),
    f"POST {V2}/jobs/cron-preview": (LOGGED_IN, 400),
    f"POST {V2}/jobs/cron-description": (LOGGED_IN, 400),
    f"GET {V2}/auth/users/{{user_id}}/preferences": (ONESELF, 200),
    f"PUT {V2}/auth/users/{{user_id}}/preferences": (ONESELF_LOGIN, 200),
    f"GET {V2}/auth/users/{{user_id}}/ui-preferences": (ONESELF, 200),
    f"PUT {V2}/auth/users/{{user_id}}/ui-preferences": (ONESELF_LOGIN, 400),
    f"GET {V2}/batches": (LOGGED_IN, 200),
    f"GET {V2}/batches/{{batch_id}}": (LOGGED_IN, 200),
    f"GET {V2}/calendars": (LOGGED_IN, 200),
    f"POST {V2}/calendars": (ADMINS, 400),
    f"DELETE {V2}/calendars/{{name}}": (ADMINS, 404),
    f"GET {V2}/calendars/{{name}}": (LOGGED_IN, 404),
    f"PUT {V2}/calendars/{{name}}": (ADMINS, 404),
    f"GET {V2}/calendars/{{name}}/closed-days": (LOGGED_IN, 404),
    f"GET {V2}/executions": (LOGGED_IN, 200),
    f"GET {V2}/executions/statistics": (LOGGED_IN, 200),
    f"GET {V2}/executions/{{execution_id}}": (LOGGED_IN, 200),
    f"GET {V2}/executions/{{execution_id}}/exchange": (LOGGED_IN, 404),
    f"GET {V2}/job-categories": (LOGGED_IN, 200),
    f"POST {V2}/job-categories": (ADMINS, 400),
    f"DELETE {V2}/job-categories/{{label_id}}": (ADMINS, 404),
    f"PUT {V2}/job-categories/{{label_id}}": (ADMINS, 404),
    f"GET {V2}/jobs": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}/executions": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}/executions/stats": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}/executions/{{execution_id}}": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}/explain": (LOGGED_IN, 200),
    f"GET {V2}/jobs/{{job_id}}/single-runs": (LOGGED_IN, 200),
    f"GET {V2}/notifications": (LOGGED_IN, 200),
    f"DELETE {V2}/notifications/delete-read": (LOGGED_IN, 200),
    f"PUT {V2}/notifications/read-all": (LOGGED_IN, 200),
    f"GET {V2}/notifications/unread-count": (LOGGED_IN, 200),
    f"DELETE {V2}/notifications/{{notification_id}}": (LOGGED_IN, 404),
    f"PUT {V2}/notifications/{{notification_id}}/read": (LOGGED_IN, 404),
    f"GET {V2}/pic-teams": (LOGGED_IN, 200),
    f"POST {V2}/pic-teams": (ADMINS, 400),
    f"DELETE {V2}/pic-teams/{{label_id}}": (ADMINS, 404),
    f"PUT {V2}/pic-teams/{{label_id}}": (ADMINS, 404),
    f"GET {V2}/secrets": (ADMINS, 200),
    f"POST {V2}/secrets": (ADMIN_LOGIN, 400),
    f"DELETE {V2}/secrets/{{name}}": (ADMIN_LOGIN, 404),
    f"GET {V2}/secrets/{{name}}": (ADMINS, 404),
    f"PUT {V2}/secrets/{{name}}": (ADMIN_LOGIN, 404),
    f"GET {V2}/webhook-credentials": (ADMINS, 200),
    f"POST {V2}/webhook-credentials": (ADMIN_LOGIN, 400),
    f"DELETE {V2}/webhook-credentials/{{name}}": (ADMIN_LOGIN, 404),
    f"GET {V2}/webhook-credentials/{{name}}": (ADMINS, 404),
    f"PUT {V2}/webhook-credentials/{{name}}": (ADMIN_LOGIN, 404),
    f"GET {V2}/windows": (LOGGED_IN, 200),
    f"POST {V2}/windows": (ADMINS, 400),
    f"DELETE {V2}/windows/{{window_id}}": (ADMINS, 404),
    f"GET {V2}/windows/{{window_id}}": (LOGGED_IN, 404),
    f"PUT {V2}/windows/{{window_id}}": (ADMINS, 404),
}


def rule_of(method: str, path: str) -> str:
    """The row of an operation; '' for one that has none."""
    return str(RULES.get(f"{method} {path}", ("",))[0])


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
        if allowed(rule, caller, method):
            expected = RULES[f"{method} {path}"][1:]
        else:
            expected = (401,) if caller == "nobody" or rule == "refresh token" else (403,)
        if answer.status_code not in expected:
            wrong.append(f"{caller}: {answer.status_code}")
    assert wrong == [], rule


# What anybody may ask for: signed links, documents, checks, and what leads to a login.
PUBLIC = {
    "", "docs", "redoc", "metrics", "echo", "hooks/github", "api/v2/openapi.json", "i18n/setlang/", "second-factor/",
    "calendar/<str:token>.ics", "extend/<str:token>/", "summary/<str:token>/", "unsubscribe/<str:token>/",
    "set-password/<str:uidb64>/<str:token>/",
}  # fmt: skip


def test_every_other_page_has_a_row() -> None:
    documented = {path.removeprefix("/") for _method, path in OPERATIONS}
    others = {one for one in patterns() if not one.startswith("admin/")}
    assert {re.sub(r"<str:(\w+)>", r"{\1}", one) for one in others - PUBLIC} - documented == set()
    assert others >= PUBLIC


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


# Who may press what: the pages of the admin that are not lists and forms of a model, by what follows `/admin/`. `OWN`:
# admins and the owner of the job; `OWN_TOLD` and `ADMINS_TOLD`: others are sent back with a message.
OWN_TOLD, ADMINS_TOLD = "own, others are told", "admins, others are told"
TOLD = {OWN_TOLD: OWN, ADMINS_TOLD: ADMINS}
VERBS: dict[str, str] = {
    **dict.fromkeys(
        ["", "account/", "calendar/", "columns/", "dashboard/", "inbox/", "palette/", "search/", "scope/", "views/",
         "views/<int:pk>/delete/", "jsi18n/", "autocomplete/", "login/", "logout/", "password_change/",
         "password_change/done/", "r/<path:content_type_id>/<path:object_id>/", "(?P<url>.*)$", "jobs/job/preview/",
         "jobs/job/undo/", "jobs/job/<path:job_id>/explain/", "jobs/job/<uuid:job_id>/", "jobs/job/<uuid:job_id>/live/",
         "executions/execution/<path:execution_id>/live/", "executions/batch/<uuid:pk>/live/"],
        EVERYBODY,
    ),
    **dict.fromkeys(
        ["import/", "import/schedules/", "jobs/job/check-workflow/", "jobs/job/preview-request/", "jobs/job/test-run/"],
        WRITERS,
    ),
    **dict.fromkeys(
        ["credentials/<uuid:pk>/check/", "slack-test/", "accounts/user/<id>/password/",
         "accounts/user/<uuid:pk>/invitation/", "taxonomy/category/jobs/", "taxonomy/picteam/jobs/",
         "taxonomy/category/undo/", "taxonomy/picteam/undo/",
         # Of a credential: without one, GITHUB_TOKEN is for admins.
         "jobs/job/pick/"],
        ADMINS,
    ),
    **{
        f"jobs/job/<path:job_id>/{verb}/": OWN
        for verb in ("acknowledge", "disable", "enable", "extend", "fill", "pause", "run", "run-with", "skip", "unskip")
    },
    "executions/execution/<path:execution_id>/again/": OWN,
    "windows/window/<path:window_id>/end/": ADMINS_TOLD,
    "windows/window/pause/<str:over>/": ADMINS,
    "windows/window/pause/<str:over>/<uuid:pk>/": ADMINS,
    **{f"executions/execution/<path:execution_id>/{verb}/": OWN_TOLD for verb in ("cancel", "enable", "failed-again")},
    **{f"executions/batch/<uuid:pk>/{verb}/": OWN_TOLD for verb in ("cancel", "pause", "resume")},
    "jobs/job/<path:job_id>/single-runs/<int:run_id>/cancel/": OWN_TOLD,
}  # fmt: skip
# What who may press it is answered; a redirect, where nothing is named.
ANSWERED = {
    **dict.fromkeys(
        ["", "accounts/user/<id>/password/", "accounts/user/<uuid:pk>/invitation/", "calendar/", "dashboard/",
         "executions/batch/<uuid:pk>/live/", "executions/execution/<path:execution_id>/live/", "import/",
         "import/schedules/", "jobs/job/<path:job_id>/explain/", "jobs/job/<path:job_id>/fill/",
         "jobs/job/<path:job_id>/run-with/", "jobs/job/<uuid:job_id>/", "jobs/job/<uuid:job_id>/live/",
         "jobs/job/check-workflow/", "jobs/job/pick/", "jobs/job/preview-request/", "jobs/job/preview/",
         "jobs/job/test-run/", "login/", "palette/", "password_change/", "search/", "taxonomy/category/jobs/",
         "taxonomy/picteam/jobs/"],
        200,
    ),
    **dict.fromkeys(
        ["(?P<url>.*)$", "credentials/<uuid:pk>/check/", "r/<path:content_type_id>/<path:object_id>/",
         "views/<int:pk>/delete/",
         # Neither everything, a team nor a category.
         "windows/window/pause/<str:over>/", "windows/window/pause/<str:over>/<uuid:pk>/"],
        404,
    ),
    **dict.fromkeys(["autocomplete/", "jsi18n/", "password_change/done/"], 405),
}  # fmt: skip
_OF_MODELS = re.compile(r"[a-z_]+/[a-z]+/(|add/|<path:object_id>/(|change/|delete/|history/))$|\^\(\?P<app_label>")


def test_every_other_page_of_the_admin_has_a_row() -> None:
    assert [one for one in admin_patterns() if not _OF_MODELS.match(one) and one not in VERBS] == []
    assert set(VERBS) <= set(admin_patterns())


@pytest.mark.parametrize("pattern", sorted(VERBS))
def test_the_verbs_of_the_admin(
    pattern: str,
    world: dict[str, Any],
    make_user: Callable[..., User],
    browser_of: Callable[[User], Client],
    handed: Any,
    settings: Any,
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    rule, owner = VERBS[pattern], world["owner"]
    owner.admin_access = True
    owner.save()
    window = {"name": "freeze", "reason": "release", "jobs": [str(world["job"].pk)]}
    ids = {
        "accounts": User.objects.get(username="a-viewer").pk,
        "executions/e": world["execution"].pk,
        "executions/b": world["run"].batch_id,
        "windows": world["callers"]["admin"].post("/api/v2/windows", window).json()["window"]["id"],
    }
    pk = next((str(one) for start, one in ids.items() if pattern.startswith(start)), str(world["job"].pk))
    path = filled(f"admin/{pattern}", pk).replace(f"single-runs/{pk}", f"single-runs/{world['run'].pk}")
    wrong = []
    for caller in ("nobody", "viewer", "user", "owner", "admin"):
        role = "user" if caller == "owner" else caller
        person = owner if caller == "owner" else None if caller == "nobody" else make_user(f"b-{caller}", role)
        if person is None:
            answer = Client(raise_request_exception=False).post(path)
            if answer.status_code not in {302, 403} and pattern not in {"login/"}:
                wrong.append(f"nobody: {answer.status_code}")
            continue
        person.admin_access = True
        person.save()
        browser = browser_of(person)
        browser.raise_request_exception = False
        before = state(world)
        answer = browser.post(path)
        may_act = allowed(TOLD.get(rule, rule), caller, "POST")
        expected = ANSWERED.get(pattern, 302) if may_act else 302 if rule in TOLD else 403
        if answer.status_code != expected:
            wrong.append(f"{caller}: {answer.status_code}")
        if not may_act and state(world) != before:
            wrong.append(f"{caller} changed something")
    assert wrong == [], rule


def state(world: dict[str, Any]) -> list[Any]:
    """What a verb may change of somebody else's job."""
    return [
        list(Job.objects.order_by("pk").values()),
        list(Execution.objects.order_by("pk").values("pk", "status")),
        list(BatchRun.objects.order_by("pk").values()),
        list(Batch.objects.order_by("pk").values()),
        list(Window.objects.order_by("pk").values()),
    ]
