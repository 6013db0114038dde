"""Decides who receives an alert, and whether alone or in a digest.

Up to `AT_ONCE` alerts within `SPAN` are sent individually. If more arise at once, as when a service fails that many
jobs call, one digest is sent at once; later alerts are added to one digest, which is sent at the end of its five
minutes. Alerts of jobs that a window mutes are added to one digest, which is sent when the window ends.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from jobs.models import Job
from notifications import rendering
from notifications.alert_rules import Alert, AlertKind
from notifications.languages import Languages
from notifications.models import Channel, Message, MessageStatus
from settings_app.models import Preferences, SlackSettings
from windows.cover import OPEN_ENDED, Cover, Inside
from windows.models import Effect, Window

AT_ONCE = 5
SPAN = dt.timedelta(minutes=10)
_DIGEST_SPAN = dt.timedelta(minutes=5)
_GATHERED = "of window"
_REFUSAL = {
    AlertKind.FAILED: "email_on_job_failure",
    AlertKind.STILL_FAILING: "email_on_job_failure",
    AlertKind.COMPLETED: "email_on_job_success",
}
Recipient = tuple[str, str]


def queue_alerts(alerts: Sequence[Alert]) -> list[Message]:
    """Queue the messages about alerts to the addresses of jobs and the channels of teams, in the caller's
    transaction; returns them.

    E-mail goes to the addresses of jobs whose mail is enabled, except to users who opted out (`email_on_job_failure`,
    `email_on_job_success`); Slack messages go out for jobs that have them enabled.
    """
    alerts = _but_muted(alerts) if alerts else alerts
    by_recipient = _by_email(alerts) | _by_slack(alerts)
    recent = _told_lately(by_recipient) if by_recipient else {}
    today = _told_of_unrun(by_recipient) if any(alert.kind is AlertKind.UNRUN for alert in alerts) else {}
    languages = _languages(by_recipient)
    fresh: list[Message] = []
    for recipient, all_of_them in sorted(by_recipient.items()):
        mine = [alert for alert in all_of_them if rendering.identity(alert) not in today.get(recipient, ())]
        if mine:
            with languages.of(recipient[1]):
                fresh += _to_one(recipient, mine, recent.get(recipient, 0))
    return fresh


def _to_one(recipient: Recipient, alerts: Sequence[Alert], told: int) -> list[Message]:
    """The messages to one recipient, who was told of `told` alerts lately."""
    if told + len(alerts) <= AT_ONCE:
        return [rendering.of_alert(alert, *recipient) for alert in alerts]
    if not told:
        return [rendering.digest(f"at once {rendering.identity(alerts[0])}", alerts, *recipient)]
    ends = _end_of_span()
    _add_to_digest(recipient, alerts, f"until {ends:%Y-%m-%dT%H:%M}", ends)
    return []


def _languages(recipients: Iterable[Recipient]) -> Languages:
    return Languages(name for channel, name in recipients if channel == Channel.EMAIL)


def review() -> int:
    """Send what windows have gathered once they have ended, also by an edit; returns how many messages moved."""
    now, moved = timezone.now(), 0
    waiting = Message.objects.filter(status=MessageStatus.PENDING, attempts=0, next_attempt_at__gt=now)
    gathered = list(waiting.filter(key__contains=f" digest {_GATHERED} ").only("key", "next_attempt_at"))
    windows = Window.objects.filter(effect=Effect.MUTE).in_bulk([_window_of(message)[0] for message in gathered])
    for message in gathered:
        pk, zone = _window_of(message)
        window = windows.get(pk)
        period = window.period_at(now, Job(time_zone=zone).shown_zone) if window else None
        ends = (period[1] or OPEN_ENDED) if period else now
        if ends != message.next_attempt_at:
            moved += waiting.filter(pk=message.pk).update(next_attempt_at=ends)
    return moved


def _window_of(message: Message) -> tuple[UUID, str]:
    """The window that gathers a message, and the zone in which it recurs."""
    pk, ends, *_recipient = message.key.partition(f" digest {_GATHERED} ")[2].split(" ")
    return UUID(pk), ends.partition("/")[2]


def _but_muted(alerts: Sequence[Alert]) -> list[Alert]:
    """The alerts of jobs that no window mutes; the others are added to the digest of their window."""
    now = timezone.now()
    cover = Cover.now()
    heard: list[Alert] = []
    muted: defaultdict[tuple[Inside, str], list[Alert]] = defaultdict(list)
    for alert in alerts:
        inside = cover.muting(alert.job, now)
        if inside is None:
            heard.append(alert)
        else:
            muted[inside, alert.job.time_zone if inside.window.cron_expression else ""].append(alert)
    for (inside, zone), gathered in muted.items():
        ends = inside.until or OPEN_ENDED
        name = f"{_GATHERED} {inside.window.pk} {ends:%Y-%m-%dT%H:%M}/{zone}"
        by_recipient = _by_email(gathered) | _by_slack(gathered)
        languages = _languages(by_recipient)
        for recipient, mine in sorted(by_recipient.items()):
            with languages.of(recipient[1]):
                _add_to_digest(recipient, mine, name, ends)
    return heard


def _end_of_span() -> dt.datetime:
    now = timezone.now()
    return now - (now - dt.datetime.min.replace(tzinfo=dt.UTC)) % _DIGEST_SPAN + _DIGEST_SPAN


def _by_email(alerts: Sequence[Alert]) -> dict[Recipient, list[Alert]]:
    found: defaultdict[Recipient, list[Alert]] = defaultdict(list)
    mailing = [alert for alert in alerts if settings.MAIL_ENABLED and alert.job.enable_email_notifications]
    refusals = _refusals({address for alert in mailing for address in alert.job.notification_emails})
    for alert in mailing:
        for address in dict.fromkeys(alert.job.notification_emails):
            if _REFUSAL.get(alert.kind) not in refusals.get(address.lower(), ()):
                found[Channel.EMAIL.value, address].append(alert)
    return dict(found)


def _refusals(addresses: set[str]) -> dict[str, set[str]]:
    """The preferences that users with these addresses have disabled."""
    names = sorted(set(_REFUSAL.values()))
    off = Q(**{names[0]: False}) | Q(**{names[1]: False})
    users = Preferences.objects.filter(off, user__email__in={address.lower() for address in addresses})
    return {
        address: {name for name, wanted in zip(names, wanting, strict=True) if not wanted}
        for address, *wanting in users.values_list("user__email", *names)
    }


def _by_slack(alerts: Sequence[Alert]) -> dict[Recipient, list[Alert]]:
    found: defaultdict[Recipient, list[Alert]] = defaultdict(list)
    asking = [alert for alert in alerts if alert.job.alert_slack]
    if asking and SlackSettings.objects.filter(is_enabled=True).exists():
        for alert in asking:
            found[Channel.SLACK.value, alert.job.pic_team.slack_handle].append(alert)
    return dict(found)


def _to(recipients: Iterable[Recipient], since: dt.datetime) -> QuerySet[Message]:
    """The messages about alerts to any of these recipients since then."""
    names = {name for _, name in recipients}
    return Message.objects.filter(created_at__gte=since, alerts__isnull=False, recipient__in=names).order_by()


def _told_lately(recipients: Iterable[Recipient]) -> dict[Recipient, int]:
    """The number of alerts that each recipient has received, or will receive, of the last `SPAN`."""
    told = _to(recipients, timezone.now() - SPAN).exclude(key__contains=f" digest {_GATHERED} ")
    found = told.values_list("channel", "recipient")
    return {(channel, name): count for channel, name, count in found.annotate(count=Sum("alert_count"))}


def _told_of_unrun(recipients: Iterable[Recipient]) -> dict[Recipient, set[str]]:
    """The identities of the current day's alerts (UTC): fire times that did not run are reported once a day."""
    found: defaultdict[Recipient, set[str]] = defaultdict(set)
    told = _to(recipients, timezone.now().replace(hour=0, minute=0, second=0, microsecond=0))
    for channel, name, alerts in told.values_list("channel", "recipient", "alerts"):
        found[channel, name].update(alert["id"] for alert in alerts or ())
    return found


@transaction.atomic
def _add_to_digest(recipient: Recipient, alerts: Sequence[Alert], name: str, ends: dt.datetime) -> None:
    """Add alerts to the recipient's digest of this name, creating it if needed; it is sent at `ends`."""
    digest = rendering.digest(name, alerts, *recipient)
    kept, made = Message.objects.select_for_update().get_or_create(
        key=digest.key,
        defaults={
            "next_attempt_at": ends,
            **{name: getattr(digest, name) for name in ("channel", "recipient", "subject", "alerts", "alert_count")},
        },
    )
    if made:
        return
    if kept.status != MessageStatus.PENDING or kept.attempts:
        # The clock was set back: that digest has been sent already.
        rendering.digest(f"after {rendering.identity(alerts[0])}", alerts, *recipient).save()
        return
    rendering.add_to_digest(kept, alerts)
    kept.save(update_fields=["subject", "alerts", "alert_count"])
