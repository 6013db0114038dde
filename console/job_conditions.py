"""The conditions under which a job needs attention. The dashboard's counts and the lists that they link to share
them.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.utils import timezone

from executions.models import Status
from jobs.models import ENDING_SOON, today

_LATE = dt.timedelta(seconds=10)


def conditions() -> dict[str, Q]:
    """The condition of each kind, as of now."""
    day, active = today(), Q(is_active=True)
    return {
        "failing": active & Q(last_status=Status.FAILED),
        "problem": ~Q(problem=""),
        "ending": active & Q(end_date__gte=day, end_date__lte=day + ENDING_SOON),
        "idle": active & Q(next_run_at__isnull=True),
        "ended": Q(is_active=False, end_date__lt=day),
        "unknown_team": active & Q(pic_team__is_active=False),
        "clock": active & Q(next_run_at__isnull=False),
        "late": active & Q(next_run_at__lt=timezone.now() - _LATE),
    }
