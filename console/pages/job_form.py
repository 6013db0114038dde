"""The form of a job: its first values, schedule preview, copy and test run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from audit import events
from audit.events import Event
from console import forecast, outlook, pairs
from console.pages import budget_forecast, exchange, windows
from core.api.errors import DomainError
from core.sentences import said
from executions import exchanges
from executions.exchanges import Exchanged
from executions.targets import DeliverableTarget
from executions.targets.github import pickers
from executions.targets.github.target import GitHubTarget
from executions.trials import Trial, example
from jobs import services, validation
from jobs.field_traits import JobField, Section, job_fields, names
from jobs.models import Job, today
from jobs.schedules.schedule import Outlook, Schedule
from jobs.services import may_read_secrets
from jobs.targets import kinds, parsing
from settings_app.credential_rights import check_role
from settings_app.models import GitHubCredential
from taxonomy.models import GENERAL, Category, PicTeam
from windows.cover import Cover

_NEXT = 5
_PICKED = ("github_owner", "github_repo", "github_workflow_name", "github_ref")
_YEAR = dt.timedelta(days=365)


def preview(request: HttpRequest) -> JsonResponse:
    """A schedule in words, its next fire times in the scheduler's zone, and how many other jobs fire at each."""
    asked = request.GET
    try:
        schedule = services.trial_schedule(asked.get("cron", ""), _times(asked))
    except DomainError as exc:
        return JsonResponse({"error": exc.spoken})
    coming = schedule.outlook(_NEXT, timezone.now())
    job, cover = _known(asked.get("job", "")), Cover.now()
    others = iter(
        forecast.together(
            Job.objects.exclude(pk=_uuid(asked.get("job", ""))), [one.moment for one in coming if one.runs]
        )
    )
    fires = [
        _fire(one, next(others) if one.runs else 0, schedule, windows.note(job, one.moment, cover)) for one in coming
    ]
    return JsonResponse({"words": schedule.describe(), "fires": fires, "budget": _budget(asked, coming)})


def _budget(asked: Mapping[str, str], coming: list[Outlook]) -> str:
    """What the budget of the form's credential means for the next fire time; '' for other kinds of targets."""
    first = next((one.moment for one in coming if one.runs), None)
    if asked.get("target_kind") != GitHubTarget.short_name or first is None:
        return ""
    try:
        return budget_forecast.words(_uuid(asked.get("github_credential", "")), _uuid(asked.get("job", "")), first)
    except GitHubCredential.DoesNotExist:
        return ""


def _times(asked: Mapping[str, str]) -> dict[str, Any]:
    """The form's fields of the schedule as in an API request body."""
    return {field.name: _value(field, asked) for field in job_fields() if field.traits.times}


def _value(field: JobField, form: Mapping[str, str]) -> Any:
    """A field of the form as in an API request body; a number that is none is left to the form. Raises `ValueError` for
    lines that are no pairs.
    """
    text, column = form.get(field.name, ""), field.column
    if isinstance(column, models.BooleanField):
        return text in {"on", "true", "True"}
    if isinstance(column, models.IntegerField):
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 5 else None
    if isinstance(column, models.JSONField):
        return pairs.read(text)
    if isinstance(column, models.ForeignKey):
        related: Any = column.related_model
        pk, shown = _uuid(text), field.traits.lookup.partition("__")[2]
        return (related.objects.filter(pk=pk).values_list(shown, flat=True).first() or "") if pk else ""
    return text or None


def _known(text: str) -> Job:
    """The job that is edited, or an empty one: only windows over all jobs cover that."""
    pk = _uuid(text)
    return (Job.objects.filter(pk=pk).first() if pk else None) or Job()


def _fire(one: Outlook, others: int, schedule: Schedule, kept_from: str) -> dict[str, Any]:
    """A line of the preview, with the number of other jobs that fire then."""
    with_it = ngettext("with %(count)d other job", "with %(count)d other jobs", others) % {"count": others}
    return outlook.row(one, schedule, with_it if others else _("alone"), kept_from=kept_from)


def _uuid(text: str) -> Any:
    try:
        return Job._meta.pk.to_python(text) if text else None
    except Exception:
        return None


def copy_of(job: Job, *, reader: User) -> dict[str, Any]:
    """The initial values of a copy, without what the reader may not see in clear."""
    found = {name: getattr(job, name) for name in names(having="copied")}
    if not may_read_secrets(job.created_by_id, reader):
        found |= {one.name: one.column.get_default() for one in job_fields() if one.traits.masked}
    options, kind = found.pop("target_options"), found.pop("target_kind")
    return {
        **found,
        **options,
        "target_kind": kinds.kind_named(kind).short_name,
        "name": _("%(name)s (copy)") % {"name": job.name[:240]},
        "is_active": False,
    }


def form_context() -> dict[str, Any]:
    """The fields of each kind of target, for the script that shows those of the chosen kind."""
    fields = {
        kind.short_name: [
            *(one.name for one in kind.fields),
            *(one.name for one in job_fields() if one.traits.target == kind.kind),
        ]
        for kind in kinds.registered()
    }
    times = ", ".join(f"#id_{name}" for name in names(having="times") if name != "cron_expression")
    return {"target_fields": json.dumps(fields), "time_fields": times}


def first_values(user: User, *, is_first: bool) -> dict[str, Any]:
    """The initial values of a new job: the general category, the team of the user's last job, an end date in a year;
    `is_first`: also a schedule, and this installation's own `/echo` as the target.
    """
    last = Job.objects.filter(created_by=user, pic_team__is_active=True).order_by("-created_at").first()
    team = last.pic_team_id if last else PicTeam.objects.filter(is_active=True).values_list("pk", flat=True).first()
    found: dict[str, Any] = {
        "category": Category.objects.filter(slug=GENERAL).values_list("pk", flat=True).first(),
        "pic_team": team,
        "end_date": today() + _YEAR,
    }
    if is_first:
        found |= {"name": _("Hello"), "cron_expression": "* * * * *", "target_url": settings.ECHO_URL}
        found["metadata"] = {"hello": "world"}
    return found


def test_body(form: Mapping[str, str]) -> dict[str, Any]:
    """The form's target as the body of a test run. Raises `ValueError` for invalid JSON in metadata."""
    try:
        metadata = json.loads(form.get("metadata") or "{}")
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    body: dict[str, Any] = {"name": form.get("name", ""), "metadata": metadata}
    chosen = form.get("target_kind") or kinds.registered()[0].short_name
    fields = [one for kind in kinds.registered() if kind.short_name == chosen for one in kind.fields]
    target = {one.name: form.get(one.name, "") for one in fields}
    also = {"time_zone", "calendar", "github_ref", "pic_team"}
    more = [one for one in job_fields() if one.traits.section is Section.REQUEST or one.name in also]
    return {**body, **target, **{one.name: _value(one, form) for one in more}}


def tried(trial: Trial) -> dict[str, Any]:
    """What the page shows of a test run: the API's answer, and the time, headers and body of the reply, masked."""
    shown: dict[str, Any] = {
        **trial.answer,
        "message": said(trial.answer["message"]),
        "seconds": round(trial.seconds, 3),
    }
    if trial.exchanged is not None:
        record = exchanges.readable(exchanges.shown(trial.exchanged), is_owner=True)
        shown["request"] = exchange.written(record["request"])
        if record["answer"]:
            shown |= {"headers": exchange.lines(record["answer"]["headers"]), "body": record["answer"]["body"]}
    return shown


def previewed(form: Mapping[str, str], *, by: User) -> dict[str, Any]:
    """The request of the form's next fire time, with placeholders for secrets; it is not sent. Raises like
    `test_body`, and `DomainError`.
    """
    moment, zone = timezone.now(), settings.SCHEDULER_ZONE
    # The schedule has its own preview.
    with suppress(DomainError):
        schedule = services.trial_schedule(form.get("cron_expression", ""), _times(form))
        zone = schedule.zone
        moment = moment if schedule.tab.is_manual else schedule.next(moment)
    record = exchanges.shown(Exchanged(example(test_body(form), moment, by=by)))
    said_for = _("The request at %(time)s") % {"time": outlook.local(moment, zone)}
    return {"ok": True, "message": said_for, "request": exchange.written(record["request"])}


def checked_workflow(form: Mapping[str, str], *, by: User) -> dict[str, Any]:
    """The comparison of the form's metadata with the workflow file: `{"ok", "message"}`. Raises like `test_body`, and
    `DomainError`.
    """
    body = test_body(form)
    target = parsing.read_target(body, default_owner=settings.DEFAULT_GITHUB_OWNER)
    if not isinstance(target, DeliverableTarget):
        return {"ok": False, "message": _("This job calls a webhook; it has no workflow.")}
    metadata = validation.metadata(body["metadata"])
    credential = _uuid(form.get("github_credential", ""))
    target.check_credential(credential, _uuid(form.get("pic_team", "")), by)
    events.note(Event.WORKFLOW_CHECKED, target.shown(), by=by)
    return target.check(metadata, form, credential)


def picked(asked: Mapping[str, str], *, by: User) -> dict[str, Any]:
    """What GitHub offers for what the form has so far. Raises `Insufficient permissions`."""
    credential = _uuid(asked.get("github_credential", ""))
    check_role(credential, by)
    owner, repo, workflow, ref = (asked.get(name, "").strip() for name in _PICKED)
    found = pickers.choices(owner, repo, workflow, ref, credential)
    return {**found._asdict(), "problem": said(found.problem)}


def way_back(request: HttpRequest, otherwise: str) -> str:
    """The URL of the page on which the button was pressed, if it is on this site."""
    referer = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure())
    return referer if is_ours else otherwise
