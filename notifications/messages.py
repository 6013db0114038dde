"""Texts of the messages that leave by e-mail and Slack. What users wrote is escaped: it can neither mark up nor mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from accounts.models import User
from executions.models import Status
from executions.recorder import Finished
from jobs import links
from jobs.models import Job
from notifications.models import Channel, Event, Message
from settings_app.models import SlackSettings

_GROUP = re.compile(r"S[A-Z0-9]{6,}")
_MEMBER = re.compile(r"[UW][A-Z0-9]{6,}")


def of_executions(finished: Sequence[Finished]) -> list[Message]:
    """E-mails to the addresses of jobs whose mail is on: about failures, and successes where the job asks for them."""
    jobs = Job.objects.filter(pk__in={one.job_id for one in finished}, enable_email_notifications=True).select_related(
        "pic_team"
    )
    wanting = {job.pk: job for job in jobs if job.notification_emails}
    return [
        _email(one, wanting[one.job_id], address)
        for one in finished
        if one.job_id in wanting and (one.status == Status.FAILED or wanting[one.job_id].notify_on_success)
        for address in wanting[one.job_id].notification_emails
    ]


def _email(finished: Finished, job: Job, address: str) -> Message:
    failed = finished.status == Status.FAILED
    context: dict[str, Any] = {
        "job": job,
        "failed": failed,
        "finished": finished,
        "completed_at": finished.completed_at.astimezone(settings.SCHEDULER_ZONE),
        "zone": str(settings.SCHEDULER_ZONE),
        "link": job_link(job),
    }
    # A line break in a subject would be a header of its own.
    name = " ".join(job.name.split())
    return Message(
        key=f"email execution {finished.execution_id} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {name} {'failed' if failed else 'completed'}"[:300],
        text=render_to_string("notifications/execution.txt", context),
        html=render_to_string("notifications/execution.html", context),
    )


def of_scheduler(event: Event) -> list[Message]:
    """An e-mail to each admin and one Slack message about the scheduler itself."""
    admins = User.objects.active_admins().values_list("email", flat=True) if settings.MAIL_ENABLED else []
    text = f"{event.message}\n\n{settings.FRONTEND_BASE_URL}\n"
    found = [
        Message(
            key=f"email scheduler {event.pk} {address}",
            channel=Channel.EMAIL,
            recipient=address,
            subject=f"[Cronsched] {event.title}",
            text=text,
        )
        for address in admins
    ]
    if SlackSettings.objects.filter(is_enabled=True).exists():
        found.append(
            Message(
                key=f"slack scheduler {event.pk}",
                channel=Channel.SLACK,
                subject=event.title,
                text=f"*{escaped(event.title)}*: {escaped(event.message)}",
            )
        )
    return found


def to_slack(what: str, jobs: Iterable[Job]) -> list[Message]:
    """One Slack message for each job whose end date has passed (`what` is "ended") or comes near; none while Slack is off."""
    jobs = list(jobs)
    if not jobs or not SlackSettings.objects.filter(is_enabled=True).exists():
        return []
    verb = "was paused: its end date has passed" if what == "ended" else "ends soon"
    return [
        Message(
            key=f"slack {what} {job.pk} {job.end_date}",
            channel=Channel.SLACK,
            subject=f"{job.name} {verb}"[:300],
            text=(
                f"{mention(job.pic_team.slack_handle)} Job *{escaped(job.name)}* {verb}"
                f" (end date {job.end_date}, {settings.SCHEDULER_ZONE}). <{job_link(job)}|Open the job>"
                f" · <{extension_link(job)}|Extend it or hand it over>"
            ),
        )
        for job in jobs
    ]


def of_ending(week: str, jobs: Sequence[Job]) -> list[Message]:
    """One e-mail to each owner about their own jobs that end soon, and to each admin about all of them."""
    if not settings.MAIL_ENABLED or not jobs:
        return []
    admins = set(User.objects.active_admins().values_list("email", flat=True))
    by_address: dict[str, list[Job]] = {address: list(jobs) for address in admins}
    for job in jobs:
        owner = job.created_by
        if owner and owner.is_active and owner.email not in admins:
            by_address.setdefault(owner.email, []).append(job)
    return [_ending_email(week, address, mine) for address, mine in sorted(by_address.items())]


def _ending_email(week: str, address: str, jobs: Sequence[Job]) -> Message:
    rows = [{"job": job, "link": extension_link(job)} for job in sorted(jobs, key=lambda job: (job.end_date, job.name))]
    context = {"rows": rows, "zone": str(settings.SCHEDULER_ZONE)}
    return Message(
        key=f"email ending {week} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {len(jobs)} job{'s end' if len(jobs) > 1 else ' ends'} within 30 days",
        text=render_to_string("notifications/ending.txt", context),
        html=render_to_string("notifications/ending.html", context),
    )


def extension_link(job: Job) -> str:
    """The page that extends a job or hands it over; works once."""
    return f"{settings.PUBLIC_URL}/extend/{links.sign(job)}/"


def job_link(job: Job) -> str:
    """Where the frontend edits a job."""
    return f"{settings.FRONTEND_BASE_URL}/jobs/{job.pk}/edit"


def escaped(text: str) -> str:
    """Text that Slack shows as it is: its three control characters are written as entities (Slack: "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mention(handle: str) -> str:
    """A team's handle as Slack mentions it: ids of groups and members as mentions, all else as text."""
    handle = handle.strip()
    plain = handle.removeprefix("@")
    if _GROUP.fullmatch(plain):
        return f"<!subteam^{plain}>"
    if _MEMBER.fullmatch(plain):
        return f"<@{plain}>"
    return escaped(handle)
