"""Texts of e-mails and Slack messages. Text from users is escaped, so it can neither format a message nor mention
anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import User
from core import page_links
from core.masking import masked_text
from executions.targets import shown_target
from jobs import signed_links
from jobs.models import Job
from notifications.alert_rules import Alert, AlertKind
from notifications.models import Channel, Event, Message
from settings_app.models import Preferences, SlackSettings

_LISTED = 20
_BAD = {AlertKind.FAILED, AlertKind.STILL_FAILING, AlertKind.UNRUN, AlertKind.WAITING}
_GROUP = re.compile(r"S[A-Z0-9]{6,}")
_MEMBER = re.compile(r"[UW][A-Z0-9]{6,}")


def of_alert(alert: Alert, channel: str, recipient: str) -> Message:
    """The message to one recipient about one alert."""
    message = _email(alert, recipient) if channel == Channel.EMAIL else _slack(alert)
    message.recipient, message.alerts, message.alert_count = recipient, [_line(alert)], 1
    return message


def identity(alert: Alert) -> str:
    """The identity of an alert, equal for repeated attempts to send it."""
    if alert.finished:
        return f"{alert.kind.name.lower()} {alert.finished.execution_id}"
    return f"{alert.kind.name.lower()} {alert.job.pk} {timezone.now():%Y-%m-%d}"


def summary(alert: Alert) -> str:
    """An alert in one line."""
    kind, finished = alert.kind, alert.finished
    if kind is AlertKind.FAILED and finished:
        times = f" ({alert.failures} failures since {_local(alert.since)})" if alert.failures > 1 else ""
        return f"failed: {masked_text(finished.outcome.error)}{times}"
    if kind is AlertKind.RECOVERED:
        return f"has recovered: it was failing for {_span(alert)}, {alert.failures} runs failed"
    if kind is AlertKind.STILL_FAILING:
        return f"is still failing: since {_local(alert.since)}, {alert.failures} runs failed"
    if kind is AlertKind.UNRUN:
        return (
            f"missed or skipped {alert.failures} fire time{'s' if alert.failures > 1 else ''}; the executions say why"
        )
    if kind is AlertKind.WAITING:
        return f"waits for an approval on GitHub since {_local(alert.since)}"
    if kind is AlertKind.SLOW and finished:
        took = f"was slow: it took {finished.duration_seconds:.1f} s"
        usual = f"{took}, where its latest runs took {alert.usual:.1f} s" if alert.usual is not None else ""
        return usual or f"{took}, more than {alert.job.slow_after_seconds} s"
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
        "words": summary(alert),
        "bad": alert.kind in _BAD,
        "finished": finished,
        "reason": masked_text(finished.outcome.error) if finished else "",
        "target": shown_target(finished.kind, finished.target) if finished else "",
        "completed_at": finished.completed_at.astimezone(settings.SCHEDULER_ZONE) if finished else None,
        "zone": str(settings.SCHEDULER_ZONE),
        "link": job_link(alert.job),
        "unsubscribe": unsubscribe_link(alert.job, address),
    }
    # A line break in a subject would start another header.
    name = " ".join(alert.job.name.split())
    return Message(
        key=f"email {identity(alert)} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {name} {alert.kind.value}"[:300],
        unsubscribe=context["unsubscribe"],
        text=render_to_string("notifications/execution.txt", context),
        html=render_to_string("notifications/execution.html", context),
    )


# A digest lists at most this many alerts; it counts the others.
LONGEST_DIGEST = 200


def digest(name: str, alerts: Sequence[Alert], channel: str, recipient: str) -> Message:
    """One message about many alerts, not rendered yet; `name` distinguishes the recipient's digests."""
    message = Message(key=f"{channel} digest {name} {recipient}"[:400], channel=channel, recipient=recipient)
    add_to_digest(message, alerts)
    return message


def add_to_digest(message: Message, alerts: Sequence[Alert]) -> None:
    """Add alerts to a digest that has not been sent."""
    kept = message.alerts or []
    address = message.recipient if message.channel == Channel.EMAIL else ""
    message.alerts = [*kept, *(_line(alert, address) for alert in alerts[: max(0, LONGEST_DIGEST - len(kept))])]
    message.alert_count += len(alerts)
    message.subject = f"[Cronsched] {message.alert_count} alerts"


def draw_if_digest(message: Message) -> None:
    """Render the texts of a digest that is about to be sent."""
    if message.text:
        return
    # Alerts may have been added until it was claimed.
    message.refresh_from_db(fields=["alerts", "alert_count"])
    lines, count = message.alerts or [], message.alert_count
    if message.channel == Channel.EMAIL:
        context = {"rows": lines, "count": count, "more": count - len(lines)}
        message.text = render_to_string("notifications/digest.txt", context)
        message.html = render_to_string("notifications/digest.html", context)
    else:
        told = [f"• *{escaped(line['job'])}* {escaped(line['words'])}" for line in lines[:_LISTED]]
        more = [f"… and {count - len(told)} more"] if count > len(told) else []
        message.text = "\n".join([f"{mention(message.recipient)} {count} alerts:", *told, *more])
    message.save(update_fields=["text", "html"])


def _line(alert: Alert, address: str = "") -> dict[str, Any]:
    """One line of a digest; to an e-mail address with the link that ends its mail about the job."""
    job = alert.job
    return {
        "id": identity(alert),
        "job": job.name,
        "team": job.pic_team.name,
        "words": summary(alert),
        "link": job_link(job),
        "bad": alert.kind in {AlertKind.FAILED, AlertKind.STILL_FAILING},
        **({"unsubscribe": unsubscribe_link(job, address)} if address else {}),
    }


def _slack(alert: Alert) -> Message:
    job = alert.job
    return Message(
        key=f"slack {identity(alert)}",
        channel=Channel.SLACK,
        subject=f"{job.name} {alert.kind.value}"[:300],
        text=f"{mention(job.pic_team.slack_handle)} Job *{escaped(job.name)}* {escaped(summary(alert))} "
        f"<{job_link(job)}|Open the job>",
        blocks=_blocks(alert),
    )


def _blocks(alert: Alert) -> list[dict[str, Any]]:
    """An alert in Slack's Block Kit: the summary with a mention of the team, and buttons to the job and the
    execution.
    """
    job, bad = alert.job, alert.kind in _BAD
    said = f"{':red_circle:' if bad else ':large_green_circle:'} *{escaped(job.name)}* {escaped(summary(alert))}"
    buttons = [("Open the job", job_link(job))]
    if alert.finished:
        buttons.append(("Open the execution", _public("execution", alert.finished.execution_id)))
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


def of_scheduler(event: Event) -> list[Message]:
    """An e-mail to each admin and one Slack message about an incident of the scheduler."""
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


def of_disabled(job: Job, by: str) -> list[Message]:
    """An e-mail to the owner of a job that another user disabled, if the owner's preferences ask for it."""
    owner = job.created_by
    if not settings.MAIL_ENABLED or owner is None or not owner.is_active or owner.email == by:
        return []
    if not Preferences.objects.filter(user=owner, email_on_job_disabled=True).exists():
        return []
    name = " ".join(job.name.split())
    text = f'Job "{name}" was disabled by {by}; it does not fire any more.\n\n{job_link(job)}\n'
    return [
        Message(
            key=f"email disabled {job.pk} {job.updated_at.isoformat()} {owner.email}",
            channel=Channel.EMAIL,
            recipient=owner.email,
            subject=f"[Cronsched] {name} was disabled"[:300],
            text=text,
        )
    ]


def to_slack(what: str, jobs: Iterable[Job]) -> list[Message]:
    """One Slack message for each job that has ended (`what` is "ended") or ends soon; none while Slack is disabled."""
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
    """One e-mail to each owner about their jobs that end soon, and one to each admin about all of them."""
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
    """The URL of the page that removes an address from a job's mail."""
    return _public("unsubscription", signed_links.sign_address(job, address))


def extension_link(job: Job) -> str:
    """The URL of the page that extends a job or hands it over; it works once."""
    return _public("extension", signed_links.sign(job))


def _public(page: str, *args: object) -> str:
    return f"{settings.PUBLIC_URL}{page_links.path_of(page, *args)}"


def job_link(job: Job) -> str:
    """The frontend's URL for editing a job."""
    return f"{settings.FRONTEND_BASE_URL}/jobs/{job.pk}/edit"


_SLACK_SIGNS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "∗", "~": "∼", "`": "ˋ"})


def escaped(text: str) -> str:
    """Text in one line, with Slack's three control characters as entities (Slack: "Escaping text") and look-alikes for
    the signs of formatting, which cannot be escaped.
    """
    return " ".join(text.splitlines()).translate(_SLACK_SIGNS)


def mention(handle: str) -> str:
    """A team's handle for Slack: ids of groups and members as mentions, other handles as text."""
    handle = handle.strip()
    plain = handle.removeprefix("@")
    if _GROUP.fullmatch(plain):
        return f"<!subteam^{plain}>"
    if _MEMBER.fullmatch(plain):
        return f"<@{plain}>"
    return escaped(handle)
