"""The forecast of a credential's budget: when the last of the dispatches of one minute leaves, with those that the
minutes before have left, and a quieter minute.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console import forecast, kept
from executions import budgets
from executions.budgets import Budget
from executions.targets.github.target import GitHubTarget
from jobs.models import Job

_MINUTE = dt.timedelta(minutes=1)
# How many minutes before and after a fire time are looked at.
_LOOKED_AROUND = 60


def waiting(counts: Sequence[int], per_minute: int) -> list[int]:
    """How many dispatches are ready in each minute, with those that the minutes before have left."""
    left, found = 0, []
    for count in counts:
        found.append(left + count)
        left = max(0, left + count - per_minute)
    return found


def words(credential_id: UUID | None, but: UUID | None, moment: dt.datetime) -> str:
    """What a job with this credential is told about a fire time, such as "412 dispatches at 09:00, the last leaves
    about 09:02; quieter: 09:07"; '' if it leaves at once. `but`: the job that is edited.
    """
    jobs = Job.objects.filter(target_kind=GitHubTarget.kind, github_credential=credential_id)
    jobs = jobs.exclude(pk=but) if but else jobs
    budget = budgets.budget_of(credential_id)
    if jobs.count() < budget.per_minute:
        return ""
    minutes = [moment + number * _MINUTE for number in range(-_LOOKED_AROUND, _LOOKED_AROUND + 1)]
    counts = forecast.together(jobs, minutes)
    others = waiting(counts, budget.per_minute)
    # Itself is one of them.
    ready = others[_LOOKED_AROUND] + 1
    if ready <= budget.per_minute:
        return ""
    told = _told(counts[_LOOKED_AROUND] + 1, moment, ready, budget)
    return told + _quieter(_first_quiet(minutes, others, _LOOKED_AROUND, budget))


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
    by_lane: defaultdict[UUID | None, dict[dt.datetime, int]] = defaultdict(dict)
    for (moment, lane), count in forecast.by_minute(groups, day).items():
        by_lane[lane][moment] = count
    found = [crowd for lane, counts in by_lane.items() for crowd in _crowds_of(of_credential[lane], counts, day)]
    return [told for _moment, told in sorted(found, key=lambda one: one[0])]


def _crowds_of(budget: Budget, counts: Mapping[dt.datetime, int], day: dt.date) -> Iterator[tuple[dt.datetime, str]]:
    begin, end = forecast.bounds(day)
    minutes = [begin + number * _MINUTE for number in range((end - begin) // _MINUTE)]
    ready = waiting([counts.get(one, 0) for one in minutes], budget.per_minute)
    for place, moment in enumerate(minutes):
        if moment in counts and ready[place] > budget.per_minute:
            told = _told(counts[moment], moment, ready[place], budget)
            yield moment, told + _quieter(_first_quiet(minutes, ready, place, budget))


def _first_quiet(
    minutes: Sequence[dt.datetime], ready: Sequence[int], place: int, budget: Budget
) -> dt.datetime | None:
    """The first later minute in which one more dispatch leaves at once."""
    later = zip(minutes[place + 1 :], ready[place + 1 :], strict=True)
    return next((moment for moment, number in later if number < budget.per_minute), None)


def _number_by_credential(jobs: QuerySet[Job]) -> dict[UUID | None, int]:
    return dict(jobs.order_by().values_list("github_credential").annotate(number=Count("pk")))


def _told(count: int, moment: dt.datetime, ready: int, budget: Budget) -> str:
    last = moment + (ready - 1) // budget.per_minute * _MINUTE
    told = ngettext(
        "%(count)s dispatch at %(time)s, the last leaves about %(last)s",
        "%(count)s dispatches at %(time)s, the last leaves about %(last)s",
        count,
    )
    return told % {
        "count": f"{count:,}",
        "time": forecast.clock(moment),
        "last": forecast.clock(last),
    }


def _quieter(moment: dt.datetime | None) -> str:
    return _("; quieter: %(time)s") % {"time": forecast.clock(moment)} if moment else ""
