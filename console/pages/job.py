"""The job page: schedule preview, copy, test run, latest runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from audit import events
from audit.events import Event
from audit.models import ChangeRecord
from console import forecast
from core.api.timestamps import zone_name
from executions.models import Execution
from executions.targets import DeliverableTarget
from jobs import validation
from jobs.field_traits import names
from jobs.models import Job
from jobs.schedules.schedule import CronError, schedule_of
from jobs.services import may_read_secrets
from jobs.targets import kinds, parsing
from notifications.models import FailureState

_SHOWN = 10
_NEXT = 5


def preview(request: HttpRequest) -> JsonResponse:
    """A schedule in words, its next fire times in the scheduler's zone, and how many other jobs fire at each."""
    try:
        schedule = schedule_of(request.GET.get("cron", ""))
        moments = schedule.upcoming(_NEXT, timezone.now())
    except CronError as exc:
        return JsonResponse({"error": str(exc)})
    others = forecast.together(Job.objects.exclude(pk=_uuid(request.GET.get("job", ""))), moments)
    fires = []
    for moment, count in zip(moments, others, strict=True):
        with_it = ngettext("with %(count)d other job", "with %(count)d other jobs", count) % {"count": count}
        there = moment.astimezone(settings.SCHEDULER_ZONE)
        fires.append(f"{there:%Y-%m-%d %H:%M} {zone_name()}, " + (with_it if count else _("alone")))
    return JsonResponse({"words": schedule.describe(), "fires": fires})


def _uuid(text: str) -> Any:
    try:
        return Job._meta.pk.to_python(text) if text else None
    except Exception:
        return None


def copy_of(job: Job, *, reader: User) -> dict[str, Any]:
    """The initial values of a copy, without what the reader may not see in clear."""
    found = {name: getattr(job, name) for name in names(having="copied")}
    if not may_read_secrets(job.created_by_id, reader):
        found |= {"metadata": {}, "target_url": ""}
    options, kind = found.pop("target_options"), found.pop("target_kind")
    return {
        **found,
        **options,
        "target_kind": kinds.kind_named(kind).short_name,
        "name": _("%(name)s (copy)") % {"name": job.name[:240]},
        "is_active": False,
    }


def form_context(object_id: str | None) -> dict[str, Any]:
    """The latest runs of a job, shown below its form."""
    kinds_of_fields = {
        kind.short_name: [*(one.name for one in kind.fields), *kind.job_fields] for kind in kinds.registered()
    }
    context: dict[str, Any] = {"target_fields": json.dumps(kinds_of_fields)}
    if object_id is None or _uuid(object_id) is None:
        return context
    return context | {
        "failure": FailureState.objects.filter(job_id=object_id, alerted_at__isnull=False)
        .select_related("acknowledged_by")
        .first(),
        "recent_executions": Execution.objects.filter(job_id=object_id).newest_first()[:_SHOWN],
        "recent_changes": ChangeRecord.objects.filter(subject_id=object_id)[:_SHOWN],
    }


def test_body(form: Mapping[str, str]) -> dict[str, Any]:
    """The form's target as the body of a test run. Raises `ValueError` for invalid JSON in metadata."""
    try:
        metadata = json.loads(form.get("metadata") or "{}")
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    body: dict[str, Any] = {"name": form.get("name", ""), "metadata": metadata}
    chosen = form.get("target_kind") or kinds.registered()[0].short_name
    fields = [one for kind in kinds.registered() if kind.short_name == chosen for one in kind.fields]
    return {**body, **{one.name: form.get(one.name, "") for one in fields}}


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


def way_back(request: HttpRequest, otherwise: str) -> str:
    """The URL of the page on which the button was pressed, if it is on this site."""
    referer = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(referer, {request.get_host()}, require_https=request.is_secure())
    return referer if is_ours else otherwise
