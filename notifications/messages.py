"""Texts of the messages that leave by e-mail and Slack. What users wrote is escaped: it can neither mark up nor mention."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import User
from jobs import links
from jobs.models import Job
from notifications.models import Channel, Event, Message
from notifications.streaks import Alert, Kind
from settings_app.models import SlackSettings

# More alerts than this to one recipient at once become one digest.
_AT_ONCE = 5
_LISTED = 20
_BAD = {Kind.FAILED, Kind.STILL_FAILING, Kind.UNRUN}
_GROUP = re.compile(r"S[A-Z0-9]{6,}")
_MEMBER = re.compile(r"[UW][A-Z0-9]{6,}")


def of_alerts(alerts: Sequence[Alert]) -> list[Message]:
    """E-mails to the addresses of jobs whose mail is on, and Slack messages for jobs that ask for them.

    Up to `_AT_ONCE` of one kind to one recipient at once; more of them, as when a service is down that many jobs call, are one digest.
    """
    found: list[Message] = []
    by_address: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if settings.MAIL_ENABLED and alert.job.enable_email_notifications:
            for address in alert.job.notification_emails:
                by_address[address].append(alert)
    for address, mine in by_address.items():
        found += [_digest(mine, address)] if len(mine) > _AT_ONCE else [_email(alert, address) for alert in mine]
    by_team: defaultdict[str, list[Alert]] = defaultdict(list)
    if any(alert.job.alert_slack for alert in alerts) and SlackSettings.objects.filter(is_enabled=True).exists():
        for alert in alerts:
            if alert.job.alert_slack:
                by_team[alert.job.pic_team.slack_handle].append(alert)
    for handle, mine in by_team.items():
        found += [_slack_digest(mine, handle)] if len(mine) > _AT_ONCE else [_slack(alert) for alert in mine]
    return found


def _identity(alert: Alert) -> str:
    """What makes an alert the same one, whoever sends it and however often."""
    if alert.finished:
        return f"{alert.kind.name.lower()} {alert.finished.execution_id}"
    return f"{alert.kind.name.lower()} {alert.job.pk} {timezone.now():%Y-%m-%d}"


def words(alert: Alert) -> str:
    """An alert in one line."""
    kind, finished = alert.kind, alert.finished
    if kind is Kind.FAILED and finished:
        times = f" ({alert.failures} failures since {_local(alert.since)})" if alert.failures > 1 else ""
        return f"failed: {finished.outcome.error}{times}"
    if kind is Kind.RECOVERED:
        return f"has recovered: it was failing for {_span(alert)}, {alert.failures} runs failed"
    if kind is Kind.STILL_FAILING:
        return f"is still failing: since {_local(alert.since)}, {alert.failures} runs failed"
    if kind is Kind.UNRUN:
        return (
            f"missed or skipped {alert.failures} fire time{'s' if alert.failures > 1 else ''}; the executions say why"
        )
    if kind is Kind.SLOW and finished:
        return f"was slow: it took {finished.duration_seconds:.1f} s, more than {alert.job.slow_after_seconds} s"
    return "completed successfully"


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone(settings.SCHEDULER_ZONE):%Y-%m-%d %H:%M}" if moment else "-"


def _span(alert: Alert) -> str:
    if not (alert.since and alert.finished):
        return "-"
    minutes = max(1, round((alert.finished.completed_at - alert.since).total_seconds() / 60))
    return (
        f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
    )


def _email(alert: Alert, address: str) -> Message:
    finished = alert.finished
    context: dict[str, Any] = {
        "job": alert.job,
        "words": words(alert),
        "bad": alert.kind in _BAD,
        "finished": finished,
        "completed_at": finished.completed_at.astimezone(settings.SCHEDULER_ZONE) if finished else None,
        "zone": str(settings.SCHEDULER_ZONE),
        "link": job_link(alert.job),
        "unsubscribe": unsubscribe_link(alert.job, address),
    }
    # A line break in a subject would be a header of its own.
    name = " ".join(alert.job.name.split())
    return Message(
        key=f"email {_identity(alert)} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {name} {alert.kind.value}"[:300],
        unsubscribe=context["unsubscribe"],
        text=render_to_string("notifications/execution.txt", context),
        html=render_to_string("notifications/execution.html", context),
    )


def _digest(alerts: Sequence[Alert], address: str) -> Message:
    bad = sum(alert.kind in {Kind.FAILED, Kind.STILL_FAILING} for alert in alerts)
    rows = [{"job": alert.job, "words": words(alert), "link": job_link(alert.job)} for alert in alerts]
    return Message(
        key=f"email digest {_identity(alerts[0])} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {len(alerts)} alerts, {bad} of failures",
        text=render_to_string("notifications/digest.txt", {"rows": rows}),
        html=render_to_string("notifications/digest.html", {"rows": rows}),
    )


def _slack(alert: Alert) -> Message:
    job = alert.job
    return Message(
        key=f"slack {_identity(alert)}",
        channel=Channel.SLACK,
        subject=f"{job.name} {alert.kind.value}"[:300],
        text=f"{mention(job.pic_team.slack_handle)} Job *{escaped(job.name)}* {escaped(words(alert))} <{job_link(job)}|Open the job>",
        blocks=_blocks(alert),
    )


def _blocks(alert: Alert) -> list[dict[str, Any]]:
    """An alert in Slack's Block Kit: the words with the team's mention, and buttons that lead to the job and the execution."""
    job, bad = alert.job, alert.kind in _BAD
    said = f"{':red_circle:' if bad else ':large_green_circle:'} *{escaped(job.name)}* {escaped(words(alert))}"
    buttons = [("Open the job", job_link(job))]
    if alert.finished:
        page = f"/admin/executions/execution/{alert.finished.execution_id}/change/"
        buttons.append(("Open the execution", f"{settings.PUBLIC_URL}{page}"))
    return [
        # Slack allows 3,000 characters in a section.
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{said}\n{mention(job.pic_team.slack_handle)}"[:2900]}},
        {
            "type": "actions",
            "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": label}, "url": url} for label, url in buttons
            ],
        },
    ]


def _slack_digest(alerts: Sequence[Alert], handle: str) -> Message:
    lines = [f"• *{escaped(alert.job.name)}* {escaped(words(alert))}" for alert in alerts[:_LISTED]]
    more = [f"… and {len(alerts) - _LISTED} more"] if len(alerts) > _LISTED else []
    return Message(
        key=f"slack digest {_identity(alerts[0])}",
        channel=Channel.SLACK,
        subject=f"{len(alerts)} alerts",
        text="\n".join([f"{mention(handle)} {len(alerts)} jobs:", *lines, *more]),
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


def unsubscribe_link(job: Job, address: str) -> str:
    """The page that takes an address off a job's mail."""
    return f"{settings.PUBLIC_URL}/unsubscribe/{links.sign_address(job, address)}/"


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
