"""Who hears what, by which channel: one route for each event.

`notifications.routing` takes title, kind and audience of what is shown in the app from here. The table in
docs/notifications.md is made from `ROUTES` (`make docs`).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from notifications.models import Audience, EventType

_EVERYONE = "everyone"
_OWNER_AND_ADMINS = "the job's owner and the admins"
_ADMINS = "the admins"
_SAME = "the same, for jobs with *alert in Slack*"


class InApp(NamedTuple):
    """What the app shows: the title, the kind, and the audience; `readers` is the audience in words."""

    title: str
    type: EventType
    audience: Audience = Audience.EVERYONE
    readers: str = _EVERYONE


class Route(NamedTuple):
    """An event in words, what the app shows of it, and who gets an e-mail and a Slack message; '' is nobody."""

    event: str
    in_app: InApp | None = None
    email: str = ""
    slack: str = ""


class Kind(Enum):
    """The events that somebody is told of."""

    CREATED = "created"
    UPLOADED = "uploaded"
    UPDATED = "updated"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    FAILED = "failed"
    COMPLETED = "completed"
    RECOVERED = "recovered"
    SLOW = "slow"
    UNRUN = "unrun"
    APPROVAL_AWAITED = "approval_awaited"
    STILL_FAILING = "still_failing"
    BURST = "burst"
    ENDING = "ending"
    EXPIRED = "expired"
    UNSCHEDULABLE = "unschedulable"
    CREDENTIAL_REFUSED = "credential_refused"
    CREDENTIAL_ENDS = "credential_ends"
    DOUBLE_RUN = "double_run"
    HOLIDAYS_MOVED = "holidays_moved"
    HOLIDAYS_END = "holidays_end"
    ZONES_CHANGED = "zones_changed"
    SCHEDULER_INCIDENT = "scheduler_incident"
    SCHEDULER_WELL = "scheduler_well"
    REPORTS = "reports"


def _restricted(title: str, kind: EventType, readers: str) -> InApp:
    return InApp(title, kind, Audience.OWNER_AND_ADMINS, readers)


ROUTES: dict[Kind, Route] = {
    Kind.CREATED: Route("a job is created", InApp("New Job Created", EventType.INFO)),
    Kind.UPLOADED: Route("jobs are uploaded in one file", InApp("Jobs Uploaded", EventType.INFO)),
    Kind.UPDATED: Route("a job is edited", InApp("Job Updated", EventType.INFO)),
    Kind.ENABLED: Route("a job is enabled", InApp("Job Enabled", EventType.INFO)),
    Kind.DISABLED: Route(
        "a job is disabled",
        InApp("Job Disabled", EventType.WARNING),
        "the owner, if somebody else did it and the owner's preferences have `email_on_job_disabled`",
    ),
    Kind.DELETED: Route("a job is deleted", InApp("Job Deleted", EventType.WARNING)),
    Kind.FAILED: Route(
        "an execution failed",
        InApp("Job Failed", EventType.ERROR),
        "the job's addresses while its mail is on, by the job's rule for failures",
        _SAME,
    ),
    Kind.COMPLETED: Route(
        "an execution succeeded",
        InApp("Job Completed", EventType.SUCCESS, readers="everyone, as `NOTIFY_ON_SUCCESS` says"),
        "the job's addresses, for jobs with *notify on success*",
        _SAME,
    ),
    Kind.RECOVERED: Route(
        "a job succeeds again after an alert",
        None,
        "the job's addresses, for jobs with *notify on recovery*",
        _SAME,
    ),
    Kind.SLOW: Route(
        "a run succeeded and was slow: longer than *slow after*, or, with *slow by its own history*, longer than "
        "three times the"
        " median of the latest twenty successes and five seconds more",
        None,
        "the job's addresses",
        _SAME,
    ),
    Kind.UNRUN: Route(
        "fire times were missed or skipped",
        None,
        "the job's addresses, for jobs with *notify when missed or skipped*, once a day",
        _SAME,
    ),
    Kind.APPROVAL_AWAITED: Route(
        "a workflow run waits for an approval for longer than *tell of a waiting approval after*",
        InApp("Approval awaited", EventType.WARNING),
        "the job's addresses",
        _SAME,
    ),
    Kind.STILL_FAILING: Route(
        "a job is still failing a day after its alert or the last reminder, and nobody acknowledged the failures",
        None,
        "the job's addresses while its mail is on",
        _SAME,
    ),
    Kind.BURST: Route(
        "more than five of these alerts for one recipient within ten minutes",
        None,
        "one digest: at once if they come at once, else every five minutes",
        "one digest, likewise",
    ),
    Kind.ENDING: Route(
        "a job ends within 30 days: each Monday at 09:00 in the scheduler's zone",
        _restricted("Job ending soon", EventType.WARNING, _OWNER_AND_ADMINS),
        "owners about their own jobs, admins about all of them; one message a person, with a link for each job",
        "one message a job, with the team's mention and the link",
    ),
    Kind.EXPIRED: Route(
        "a job's end date has passed and the job was paused, on the day after",
        _restricted("Job auto-paused (end date passed)", EventType.WARNING, _OWNER_AND_ADMINS),
        "",
        "one message, with the team's mention",
    ),
    Kind.UNSCHEDULABLE: Route(
        "the scheduler cannot fire a job",
        _restricted("Job cannot be scheduled", EventType.ERROR, _OWNER_AND_ADMINS),
    ),
    Kind.CREDENTIAL_REFUSED: Route(
        "GitHub refuses a credential",
        _restricted("GitHub credential refused", EventType.ERROR, _ADMINS),
    ),
    Kind.CREDENTIAL_ENDS: Route(
        "a GitHub credential ends within a week",
        _restricted("GitHub credential ends soon", EventType.WARNING, _ADMINS),
    ),
    Kind.DOUBLE_RUN: Route(
        "the workflow of a job still has a schedule of its own, once a day",
        _restricted("Workflow runs twice", EventType.WARNING, _OWNER_AND_ADMINS),
    ),
    Kind.HOLIDAYS_MOVED: Route(
        "an update moved national holidays of a business calendar",
        _restricted("National holidays have moved", EventType.WARNING, _ADMINS),
    ),
    Kind.HOLIDAYS_END: Route(
        "the certain national holidays of business calendars end within 60 days",
        _restricted("National holidays end soon", EventType.WARNING, _ADMINS),
    ),
    Kind.ZONES_CHANGED: Route(
        "an update of the time zone data moved the next runs of jobs",
        _restricted("Next runs have moved", EventType.WARNING, _ADMINS),
    ),
    Kind.SCHEDULER_INCIDENT: Route(
        "no scheduler leads for a minute, a fire time is a minute late, or 50,000 jobs are due",
        _restricted("Scheduler in trouble", EventType.ERROR, _ADMINS),
        _ADMINS,
        "one message",
    ),
    Kind.SCHEDULER_WELL: Route(
        "such an incident is over",
        _restricted("Scheduler is well again", EventType.SUCCESS, _ADMINS),
        _ADMINS,
        "one message",
    ),
    Kind.REPORTS: Route(
        "a day (08:00 in the scheduler's zone) or a week (Monday) is reported on",
        None,
        "users whose preferences ask for it",
    ),
}


def in_app(kind: Kind) -> InApp:
    """What the app shows of an event. Raises `ValueError` for an event that the app does not show."""
    found = ROUTES[kind].in_app
    if found is None:
        raise ValueError(f"{kind} is not shown in the app")
    return found
