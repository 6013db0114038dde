"""The store of the chores: in memory, with a row of django-apscheduler for each, which admins see.

What a chore does comes from the code. django-apscheduler's own store unpickles its rows, so that whoever can write one
row, or hands over a backup, runs code in the leader; here nothing is ever unpickled, and the rows hold only the next
fire time.
"""

from __future__ import annotations

from typing import Any

from django_apscheduler.jobstores import DjangoMemoryJobStore
from django_apscheduler.models import DjangoJob
from django_apscheduler.util import get_django_internal_datetime

_NO_STATE = b""


class ChoreStore(DjangoMemoryJobStore):  # type: ignore[misc]  # the library has no types
    """Keeps chores in memory, and writes when each is due. Raises `DatabaseError`."""

    def add_job(self, job: Any) -> None:
        super().add_job(job)
        _write(job)

    def update_job(self, job: Any) -> None:
        super().update_job(job)
        _write(job)

    def remove_job(self, job_id: str) -> None:
        super().remove_job(job_id)
        DjangoJob.objects.filter(pk=job_id).delete()


def _write(job: Any) -> None:
    due = get_django_internal_datetime(job.next_run_time)
    DjangoJob.objects.update_or_create(pk=job.id, defaults={"next_run_time": due, "job_state": _NO_STATE})
