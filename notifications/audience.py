"""Who would be told if a job failed now, by channel."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import Job
from settings_app.models import SlackSettings


class Ear(NamedTuple):
    """A channel, who hears by it, and whether anybody outside the admin does."""

    channel: str
    who: str
    is_told: bool


def audience(job: Job) -> list[Ear]:
    """The channels of a job's failures, in the order mail, Slack, admin."""
    return [_mail(job), _slack(job), Ear(_("In the admin"), _("everybody, as a notification"), False)]


def is_told_outside(ears: list[Ear]) -> bool:
    """Whether somebody hears of a failure without opening the admin."""
    return any(ear.is_told for ear in ears)


def _mail(job: Job) -> Ear:
    channel = _("E-mail")
    if not job.enable_email_notifications:
        return Ear(channel, _("off; nobody is told"), False)
    if not job.notification_emails:
        return Ear(channel, _("on, but without an address; nobody is told"), False)
    if not settings.MAIL_ENABLED:
        return Ear(channel, _("on, but this installation sends no e-mail (MAIL_ENABLED=false)"), False)
    return Ear(channel, ", ".join(job.notification_emails) + _rule(job), True)


def _slack(job: Job) -> Ear:
    if not job.alert_slack:
        return Ear("Slack", _("off; nobody is told"), False)
    if not SlackSettings.current().is_enabled:
        return Ear("Slack", _("on, but Slack is not connected; nobody is told"), False)
    return Ear("Slack", (job.pic_team.slack_handle or job.pic_team.name) + _rule(job), True)


def _rule(job: Job) -> str:
    if job.alert_window:
        return " " + _("(after %(count)d failures among %(runs)d runs)") % {
            "count": job.alert_after_failures,
            "runs": job.alert_window,
        }
    if job.alert_after_failures == 1:
        return " " + _("(each failure)")
    words = ngettext("(after %(count)d failure)", "(after %(count)d failures in a row)", job.alert_after_failures)
    return " " + words % {"count": job.alert_after_failures}
