"""What is valid and yet probably not what a person means."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from jobs.models import Job
from jobs.targets import kinds


def warnings_of(job: Job) -> list[str]:
    """Sentences in English about a valid job, stored or not, that will not do what was probably meant."""
    return list(_warnings_of(job))


def _warnings_of(job: Job) -> Iterator[str]:
    if _never_fires(job):
        yield "It never fires before its end date."
    if job.calendar_id is None and (job.on_closed_day != "run" or job.shift_open_days):
        yield "Without a calendar no day is closed: 'on_closed_day' and 'shift_open_days' do nothing."
    for kind in kinds.registered():
        if kind.is_page(job.target_url):
            yield f"The URL is a page of {kind.noun}, and a call of it starts nothing: choose the target {kind.noun}."


def _never_fires(job: Job) -> bool:
    try:
        return not (job.has_ended or job.schedule.tab.is_manual) and job.fire_after(timezone.now()) is None
    except ValueError:
        # A stored schedule or zone that cannot be used is shown as the job's problem.
        return False
