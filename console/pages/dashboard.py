"""The dashboard: which jobs need somebody, and how the installation is, in a constant number of queries."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from console import charts, forecast, kept
from console.date_params import period
from console.pages import host_forecast, windows
from console.pages.checklist import checklist
from console.situations import RUNS, condition, flapping_jobs, situation, state_of
from executions.models import OPEN, Execution, Status
from executions.statistics import queries, rollups
from jobs.models import Job, today
from jobs.services import may_touch
from notifications import acknowledgements
from notifications.models import Message, MessageStatus
from scheduler.models import Leadership
from settings_app.services import dashboard_scope_of
from taxonomy.models import PicTeam
from windows.cover import Cover

_AHEAD_MINUTES = 60
_RUNS = 20
# The failing and flapping jobs that are named, and the latest failures.
_NAMED, _FED = 20, 10
# Among so many of the coming runs the next one is looked for that nothing keeps from running.
_COMING = 50


class Scope(NamedTuple):
    """Whose jobs are shown. `jobs` is None for all of them; `query` and `runs_query`: the same filter on the lists of
    jobs and of executions.
    """

    value: str
    title: str
    jobs: QuerySet[Job] | None
    query: dict[str, str]
    runs_query: dict[str, str]

    @property
    def key(self) -> str:
        """What distinguishes the jobs of this scope, also from those of other users."""
        return "" if self.jobs is None else str(self.jobs.query)

    def of(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        return jobs if self.jobs is None else jobs.filter(pk__in=self.jobs.values("pk"))


def scope_of(user: User) -> Scope:
    """The scope that the user has chosen: all jobs, the user's own, or those of a team."""
    value = dashboard_scope_of(user)
    if value == "mine":
        jobs = Job.objects.filter(created_by=user)
        return Scope(
            value, _("My jobs"), jobs, {"created_by__id__exact": str(user.pk)}, {"job__created_by": str(user.pk)}
        )
    team: Any = PicTeam.objects.filter(pk=key).first() if (key := _uuid(value)) else None
    if team is None:
        return Scope("all", _("All teams"), None, {}, {})
    jobs = Job.objects.filter(pic_team=team)
    return Scope(value, team.name, jobs, {"pic_team__id__exact": value}, {"job__pic_team__id__exact": value})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def dashboard(user: User) -> dict[str, Any]:
    """The values of the page for a user. Each number covers the same period as its chart and the list that it links
    to.
    """
    now = timezone.now()
    zone = settings.SCHEDULER_ZONE
    scope = scope_of(user)
    week_ago = dt.datetime.combine(now.astimezone(zone).date() - dt.timedelta(days=6), dt.time(), zone)
    hours = rollups.by_hour(week_ago, scope.jobs)
    day_ago = queries.since_hours(23)
    last_day = {hour: counts for hour, counts in hours.items() if hour >= day_ago}
    groups = forecast.groups(scope.of(Job.objects.all()), "is_active")
    flapping = flapping_jobs()
    counts = _counts(scope, flapping)
    health = _health(now)
    steps = checklist(user)
    return {
        "now": now,
        "scope": scope,
        "teams": PicTeam.objects.filter(is_active=True).by_name(),
        "health": health,
        "counts": counts,
        "sentence": _sentence(scope, counts),
        "next": _next(scope, now),
        "troubled": _troubled(scope, flapping, user),
        "jobs_url": _jobs_url(scope),
        "bad": counts["failing"] + (0 if health["is_well"] else 1),
        "tiles": _tiles(scope, counts, user),
        "periods": [
            _period(_("Last 24 hours"), charts.hours(last_day, 24), day_ago, scope),
            _period(_("Last 7 days"), charts.days(hours, 7), week_ago, scope),
        ],
        "coming": charts.timeline(forecast.next_minutes(groups, _AHEAD_MINUTES)),
        "waits": host_forecast.coming_crowds(_AHEAD_MINUTES),
        "feed": _feed(scope),
        "last_night": _last_night(scope, now),
        "tomorrow": now.astimezone(zone).date() + dt.timedelta(days=1),
        "slowest": _slowest(scope, now),
        "checklist": steps,
        "steps_done": sum(step["is_done"] for step in steps),
        # After the first run that succeeded, the rest of the steps may wait.
        "has_begun": all(step["is_done"] for step in steps[:3]),
    }


def _jobs_url(scope: Scope, **query: str) -> str:
    return f"{reverse('admin:jobs_job_changelist')}?{urlencode({**scope.query, **query})}"


def _slowest(scope: Scope, now: dt.datetime) -> list[Any]:
    since = queries.since_hours(24)
    key = ("slowest", scope.key, since)
    return kept.until_run(key, lambda: rollups.slowest(now - dt.timedelta(days=1), jobs=scope.jobs))


_TILES = ("problem", "ending", "idle", "ended", "unknown_team")


def _counts(scope: Scope, flapping: list[UUID]) -> dict[str, int]:
    """The number of jobs, of active ones, and of those in each situation."""
    return kept.until_run(("counts", scope.key, today()), lambda: _counted(scope, flapping))


def _counted(scope: Scope, flapping: list[UUID]) -> dict[str, int]:
    jobs = scope.of(Job.objects.all()).order_by()
    conditions = {name: condition(name) for name in ("failing", "clock", *_TILES)}
    found: dict[str, int] = jobs.aggregate(
        all=Count("pk"),
        **{name: Count("pk", filter=one) for name, one in conditions.items()},
    )
    return {
        **found,
        "flapping": jobs.filter(pk__in=flapping, is_active=True).exclude(last_status=Status.FAILED).count(),
    }


def _sentence(scope: Scope, counts: dict[str, int]) -> str:
    """The situation in one sentence."""
    if not counts["all"]:
        return _("There are no jobs yet.") if scope.jobs is None else _("There are no jobs here.")
    if counts["failing"]:
        words = ngettext(
            "%(failing)d of %(count)d jobs is failing.", "%(failing)d of %(count)d jobs are failing.", counts["failing"]
        )
        return words % {"failing": counts["failing"], "count": counts["all"]}
    if counts["flapping"]:
        words = ngettext("No job is failing; %(count)d is flapping.", "No job is failing; %(count)d are flapping.",
                         counts["flapping"])  # fmt: skip
        return words % {"count": counts["flapping"]}
    return ngettext("The job is well.", "None of %(count)d jobs is failing.", counts["all"]) % {"count": counts["all"]}


def _next(scope: Scope, now: dt.datetime) -> Job | None:
    """The job that runs next; of the first ones, what neither a window nor a person keeps from running."""
    coming = scope.of(Job.objects.filter(next_run_at__gt=now, is_active=True)).order_by("next_run_at", "name")
    cover = Cover.now()
    return next((job for job in coming[:_COMING] if not windows.note(job, job.next_run_at or now, cover)), None)


def _troubled(scope: Scope, flapping: list[UUID], user: User) -> list[dict[str, Any]]:
    """The failing jobs, those that failed last first, and then the flapping ones: each with its latest runs and the
    reason of the latest failure.
    """
    active = scope.of(Job.objects.filter(is_active=True))
    failing = active.filter(last_status=Status.FAILED).order_by("-last_execution_at", "name")
    others = active.filter(pk__in=flapping).exclude(last_status=Status.FAILED).order_by("name")
    chosen = kept.until_run(
        ("troubled", str(active.query)), lambda: list(dict.fromkeys([*_first(failing), *_first(others)]))[:_NAMED]
    )
    rows_of = Job.objects.select_related("pic_team").in_bulk(chosen)
    jobs = [rows_of[pk] for pk in chosen if pk in rows_of]
    runs = queries.latest_runs([job.pk for job in jobs], RUNS)
    reasons = queries.last_failures(chosen)
    seen = acknowledgements.counting(chosen, set(flapping))
    rows = []
    for job in jobs:
        found = situation(runs[job.pk], job)
        rows.append(
            {
                "job": job,
                "state": state_of(job, found, is_running=bool(runs[job.pk]) and runs[job.pk][-1].status in OPEN),
                "situation": found,
                "strip": charts.spark(runs[job.pk][-_RUNS:]),
                "last": reasons.get(job.pk),
                "may_touch": may_touch(job, user),
                "acknowledged": seen.get(job.pk),
            }
        )
    return rows


def _first(jobs: QuerySet[Job]) -> list[UUID]:
    return list(jobs.values_list("pk", flat=True)[:_NAMED])


def _health(now: dt.datetime) -> dict[str, Any]:
    leadership = Leadership.current()
    late = Job.objects.filter(condition("late")).count()
    return {
        "leader": leadership.leader_id if leadership.is_live else "",
        "lag": queries.fire_lag(now - dt.timedelta(hours=1)),
        "open": queries.open_count(),
        "late": late,
        "is_well": leadership.is_live and not late,
        "waits": _waits(),
    }


def _waits() -> list[tuple[str, int]]:
    """What open executions wait for, and how many do."""
    labels = {
        "worker": _("a worker"),
        "budget": _("the budget of a credential"),
        "limit": _("a concurrency limit"),
        "retry": _("a retry"),
        "jitter": _("their jitter"),
        "turn": _("their turn"),
    }
    counts = queries.waits()
    return [(label, counts[name]) for name, label in labels.items() if counts[name]]


def _period(title: str, columns: list[charts.Column], since: dt.datetime, scope: Scope) -> dict[str, Any]:
    """A period: its totals, and its runs and failures as charts on scales of their own."""
    if scope.runs_query:
        columns = [one._replace(query=f"{one.query}&{urlencode(scope.runs_query)}") for one in columns]
    added = queries.total(dict(column.counts) for column in columns)
    success, failed = added.get(Status.SUCCESS, 0), added.get(Status.FAILED, 0)
    ended = success + failed
    return {
        "title": title,
        "query": urlencode({"from": charts.local(since), **scope.runs_query}),
        "total": sum(added.values()),
        "failed": failed,
        "rate": round(100 * success / ended, 1) if ended else None,
        "runs": charts.stacked(columns, _("Runs by outcome: %(title)s") % {"title": title}),
        "failures": charts.failures(columns, _("Share of failed runs: %(title)s") % {"title": title}),
    }


def _last_night(scope: Scope, now: dt.datetime) -> dict[str, Any]:
    """The failures of last night: how many, and their list."""
    query = {"status__exact": Status.FAILED.value, "when": "night", **scope.runs_query}
    begin, end = period("night", now) or (now, now)
    failed = Execution.objects.filter(status=Status.FAILED, started_at__gte=begin, started_at__lt=end).of_kept_jobs()
    if scope.jobs is not None:
        failed = failed.filter(job__in=scope.jobs)
    count = kept.until_run(("last night", scope.key, begin), failed.count)
    return {"count": count, "url": f"{reverse('admin:executions_execution_changelist')}?{urlencode(query)}"}


def _feed(scope: Scope) -> list[Execution]:
    """The latest failures."""
    failed = Execution.objects.filter(status=Status.FAILED).of_kept_jobs().newest_first()
    if scope.jobs is not None:
        failed = failed.filter(job__in=scope.jobs)
    return list(failed.select_related("job")[:_FED])


def _tiles(scope: Scope, counts: dict[str, int], user: User) -> list[dict[str, Any]]:
    """What else needs somebody: a label, a number above zero, and a link to the list."""
    labels = {
        "problem": (_("Cannot run"), "bad"),
        "ending": (_("Ending within 30 days"), "warn"),
        "idle": (_("Active without a next run"), "warn"),
        "ended": (_("Disabled by their end date"), "note"),
        "unknown_team": (_("Team disabled"), "warn"),
    }
    found = [
        {"label": label, "count": counts[name], "url": _jobs_url(scope, attention=name), "level": level}
        for name, (label, level) in labels.items()
    ]
    if user.has_perm("notifications.view_message"):
        messages = f"{reverse('admin:notifications_message_changelist')}?status__exact=failed"
        stuck = Message.objects.filter(status=MessageStatus.FAILED).count()
        found.append({"label": _("Messages not delivered"), "count": stuck, "url": messages, "level": "bad"})
    return [tile for tile in found if tile["count"]]
