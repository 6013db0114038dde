"""The forecast of a credential's budget: when the last of the dispatches of one minute leaves, and a quieter minute."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from console import forecast, kept
from executions import budgets
from executions.budgets import Budget
from executions.targets.github.target import GitHubTarget
from jobs.models import Job

_MINUTE = dt.timedelta(minutes=1)
_LOOKED_AHEAD = 60


class Crowd(NamedTuple):
    """The dispatches of one minute that do not all leave at once. `last`: when the last of them leaves."""

    name: str
    dispatches: int
    last: dt.datetime


def crowd(budget: Budget, moment: dt.datetime, count: int) -> Crowd | None:
    """None if the budget allows all of them at once."""
    waits = (count - 1) // budget.per_minute
    return Crowd(budget.name, count, moment + waits * _MINUTE) if waits > 0 else None


def words(credential_id: UUID | None, but: UUID | None, moment: dt.datetime) -> str:
    """What a job with this credential is told about a fire time, such as "412 dispatches at 09:00, the last leaves
    about 09:02; quieter: 09:07"; '' if it leaves at once. `but`: the job that is edited.
    """
    jobs = Job.objects.filter(target_kind=GitHubTarget.kind, github_credential=credential_id)
    jobs = jobs.exclude(pk=but) if but else jobs
    budget = budgets.budget_of(credential_id)
    # Itself is one of them.
    count = 1 + forecast.together(jobs, [moment])[0]
    found = crowd(budget, moment, count)
    if found is None:
        return ""
    told = _told(count, moment, found.last)
    later = [moment + number * _MINUTE for number in range(1, _LOOKED_AHEAD + 1)]
    counts = forecast.together(jobs, later)
    quiet = next((one for one, others in zip(later, counts, strict=True) if others + 1 <= budget.per_minute), None)
    return told + (_("; quieter: %(time)s") % {"time": forecast.clock(quiet)} if quiet else "")


def crowds(day: dt.date) -> list[str]:
    """The minutes of a day in which a budget does not allow all dispatches at once, in words."""
    jobs = Job.objects.on_schedule().filter(target_kind=GitHubTarget.kind)
    numbers = kept.until_edited("dispatches by credential", lambda: _number_by_credential(jobs))
    of_credential = {one: budgets.budget_of(one) for one in numbers}
    # Fewer jobs than the budget of a minute never wait.
    tight = {one for one, budget in of_credential.items() if numbers[one] > budget.per_minute}
    if not tight:
        return []
    groups = (group for group in forecast.groups(jobs, "github_credential") if group.lane in tight)
    found = []
    for (moment, lane), count in sorted(forecast.by_minute(groups, day).items(), key=lambda one: one[0][0]):
        if one := crowd(of_credential[lane], moment, count):
            found.append(_told(one.dispatches, moment, one.last))
    return found


def _number_by_credential(jobs: QuerySet[Job]) -> dict[UUID | None, int]:
    return dict(jobs.order_by().values_list("github_credential").annotate(number=Count("pk")))


def _told(count: int, moment: dt.datetime, last: dt.datetime) -> str:
    return _("%(count)s dispatches at %(time)s, the last leaves about %(last)s") % {
        "count": f"{count:,}",
        "time": forecast.clock(moment),
        "last": forecast.clock(last),
    }
