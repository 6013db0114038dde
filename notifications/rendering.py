"""E-mails and Slack messages, in the active language or, where they choose their recipients, in the recipient's. Text
from users is escaped, so it can neither format a message nor mention anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from core import page_links
from core.masking import masked_text
from core.sentences import said
from executions.targets import shown_target
from jobs import signed_links
from jobs.models import Job
from notifications.alert_rules import Alert, AlertKind
from notifications.failed_jobs import failed_jobs
from notifications.languages import Languages
from notifications.models import Channel, Event, Message
from notifications.wording import local, subject, summary
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


def _email(alert: Alert, address: str) -> Message:
    finished = alert.finished
    words = summary(alert)
    # The reason has a line of its own.
    title = subject(alert) if finished and finished.outcome.error else f"{alert.job.name} {words}"
    context: dict[str, Any] = {
        "job": alert.job,
        "alert": alert,
        "words": words,
        "title": title,
        "since": local(alert.since),
        "bad": alert.kind in _BAD,
        "finished": finished,
        "reason": said(masked_text(finished.outcome.error)) if finished else "",
        "failed": failed_jobs(alert),
        "target": shown_target(finished.kind, finished.target) if finished else "",
        "completed_at": finished.completed_at.astimezone(settings.SCHEDULER_ZONE) if finished else None,
        "zone": str(settings.SCHEDULER_ZONE),
        "link": job_link(alert.job),
        "unsubscribe": unsubscribe_link(alert.job, address),
    }
    return Message(
        key=f"email {identity(alert)} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {subject(alert)}"[:300],
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
    message.subject = f"[Cronsched] {_alerts(message.alert_count)}"


def _alerts(count: int) -> str:
    return ngettext("%(count)d alert", "%(count)d alerts", count) % {"count": count}


def draw_if_digest(message: Message) -> None:
    """Render the texts of a digest that is about to be sent, in the recipient's language."""
    if not message.text:
        with Languages([message.recipient]).of(message.recipient):
            _draw_digest(message)


def _draw_digest(message: Message) -> None:
    # Alerts may have been added until it was claimed.
    message.refresh_from_db(fields=["alerts", "alert_count"])
    lines, count = message.alerts or [], message.alert_count
    if message.channel == Channel.EMAIL:
        context = {"rows": lines, "alerts": _alerts(count), "more": count - len(lines)}
        message.text = render_to_string("notifications/digest.txt", context)
        message.html = render_to_string("notifications/digest.html", context)
    else:
        told = [f"• *{escaped(line['job'])}* {escaped(line['words'])}" for line in lines[:_LISTED]]
        more = [_("… and %(count)d more") % {"count": count - len(told)}] if count > len(told) else []
        message.text = "\n".join([f"{mention(message.recipient)} {_alerts(count)}:", *told, *more])
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
        subject=subject(alert)[:300],
        text=f"{_mentioning(job)}{_slack_job(job, summary(alert))} <{job_link(job)}|{_('Open the job')}>",
        blocks=_blocks(alert),
    )


def _mentioning(job: Job) -> str:
    """The mention of the job's team and a space; '' for a team without a handle."""
    found = mention(job.pic_team.slack_handle)
    return f"{found} " if found else ""


def _slack_job(job: Job, words: str) -> str:
    return _("Job *%(job)s* %(words)s") % {"job": escaped(job.name), "words": escaped(words)}


def _section(text: str) -> dict[str, Any]:
    # Slack allows 3,000 characters in a section.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:2900]}}


def _failed_in_slack(alert: Alert) -> str:
    """The failed jobs of a workflow run with their annotations, a line each; '' if there is no more than the reason."""
    lines = []
    for job in failed_jobs(alert):
        lines.append(f"• *{escaped(job.words)}*")
        lines += [f"    {escaped(note)}" for note in job.annotations]
    return "\n".join(lines)


def _blocks(alert: Alert) -> list[dict[str, Any]]:
    """An alert in Slack's Block Kit: the summary with a mention of the team, and buttons to the job and the
    execution.
    """
    job, bad = alert.job, alert.kind in _BAD
    words = f"{':red_circle:' if bad else ':large_green_circle:'} *{escaped(job.name)}* {escaped(summary(alert))}"
    text = f"{words}\n{_mentioning(job)}".strip()
    buttons = [(_("Open the job"), job_link(job))]
    if alert.finished:
        buttons.append((_("Open the execution"), _public("execution", alert.finished.execution_id)))
    return [
        *(_section(part) for part in (text, _failed_in_slack(alert)) if part),
        {
            "type": "actions",
            "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": label}, "url": url} for label, url in buttons
            ],
        },
    ]


def of_scheduler(event: Event) -> list[Message]:
    """An e-mail to each admin and one Slack message about an incident of the scheduler."""
    admins = list(User.objects.active_admins().values_list("email", flat=True)) if settings.MAIL_ENABLED else []
    languages, found = Languages(admins), []
    for address in admins:
        with languages.of(address):
            found.append(
                Message(
                    key=f"email scheduler {event.pk} {address}",
                    channel=Channel.EMAIL,
                    recipient=address,
                    subject=f"[Cronsched] {said(event.title)}",
                    text=f"{said(event.message)}\n\n{settings.FRONTEND_BASE_URL}\n",
                )
            )
    if SlackSettings.objects.filter(is_enabled=True).exists():
        with languages.of(Channel.SLACK):
            title = said(event.title)
            found.append(
                Message(
                    key=f"slack scheduler {event.pk}",
                    channel=Channel.SLACK,
                    subject=title,
                    text=f"*{escaped(title)}*: {escaped(said(event.message))}",
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
    with Languages([owner.email]).of(owner.email):
        words = _('Job "%(job)s" was disabled by %(by)s; it does not fire any more.') % {"job": name, "by": said(by)}
        return [
            Message(
                key=f"email disabled {job.pk} {job.updated_at.isoformat()} {owner.email}",
                channel=Channel.EMAIL,
                recipient=owner.email,
                subject=f"[Cronsched] {_('%(job)s was disabled') % {'job': name}}"[:300],
                text=f"{words}\n\n{job_link(job)}\n",
            )
        ]


def to_slack(what: str, jobs: Iterable[Job]) -> list[Message]:
    """One Slack message for each job that has ended (`what` is "ended") or ends soon; none while Slack is disabled."""
    jobs = list(jobs)
    if not jobs or not SlackSettings.objects.filter(is_enabled=True).exists():
        return []
    with Languages([]).of(Channel.SLACK):
        verb = _("was paused: its end date has passed") if what == "ended" else _("ends soon")
        until = _("(end date %(date)s, %(zone)s).")
        return [
            Message(
                key=f"slack {what} {job.pk} {job.end_date}",
                channel=Channel.SLACK,
                subject=f"{job.name} {verb}"[:300],
                text=(
                    f"{_mentioning(job)}{_slack_job(job, verb)}"
                    f" {until % {'date': job.end_date, 'zone': job.shown_zone}}"
                    f" <{job_link(job)}|{_('Open the job')}>"
                    f" · <{extension_link(job)}|{_('Extend it or hand it over')}>"
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
    languages, made = Languages(by_address), []
    for address, mine in sorted(by_address.items()):
        with languages.of(address):
            made.append(_ending_email(week, address, mine))
    return made


def _ending_email(week: str, address: str, jobs: Sequence[Job]) -> Message:
    rows = [{"job": job, "link": extension_link(job)} for job in sorted(jobs, key=lambda job: (job.end_date, job.name))]
    zones = sorted({str(job.shown_zone) for job in jobs})
    context = {"rows": rows, "zone": zones[0] if len(zones) == 1 else ""}
    ending = ngettext("%(count)d job ends within 30 days", "%(count)d jobs end within 30 days", len(jobs))
    return Message(
        key=f"email ending {week} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {ending % {'count': len(jobs)}}",
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
