"""The first steps of a new installation. Each ticks itself."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from executions.models import Execution, Status
from jobs.models import Job
from settings_app.models import SlackSettings
from taxonomy.models import PicTeam


def checklist(user: User) -> list[dict[str, Any]]:
    """The steps with their state, a sentence and the page of each; none for who is no admin, and once all are done."""
    if not user.is_admin:
        return []
    job = Job.objects.order_by("created_at").first()
    steps = [
        (
            _("Create a team"),
            _("Each job belongs to the team that takes care of it."),
            PicTeam.objects.exists(),
            reverse("admin:taxonomy_picteam_add"),
        ),
        (
            _("Create your first job"),
            _("The form is filled in: it calls this installation's own /echo."),
            job is not None,
            f"{reverse('admin:jobs_job_add')}?first=1",
        ),
        (
            _("Watch it run"),
            _("Press Run now on the job's page; it turns green by itself."),
            job is not None and Execution.objects.filter(status=Status.SUCCESS).exists(),
            reverse("admin:jobs_job_view", args=[job.pk]) if job else "",
        ),
        (
            _("Connect Slack"),
            _("Failures are told where your team reads."),
            SlackSettings.objects.filter(is_enabled=True).exists(),
            reverse("admin:settings_app_slacksettings_changelist"),
        ),
        (
            _("Invite somebody"),
            _("A link lets a colleague choose a password."),
            User.objects.filter(is_active=True).count() > 1,
            reverse("admin:accounts_user_add"),
        ),
    ]
    if all(done for _title, _words, done, _url in steps):
        return []
    return [{"title": title, "words": words, "is_done": done, "url": url} for title, words, done, url in steps]
