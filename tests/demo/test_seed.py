"""The sample data shows each situation of a job."""

from __future__ import annotations

import pytest

from accounts.models import User
from console import kept
from console.situations import condition
from demo.seed import FLAPPING, seed
from jobs.models import Job

pytestmark = pytest.mark.django_db


def test_the_demo_has_failing_flapping_paused_ending_and_disabled_jobs(admin: User) -> None:
    seed("http://127.0.0.1:5099", count=40, days=8)
    kept.forget()
    counts = {
        name: Job.objects.filter(condition(name, admin)).count()
        for name in ("failing", "flapping", "paused", "disabled", "ending", "mine")
    }
    assert counts["flapping"] == len(FLAPPING)
    assert min(counts.values()) > 0, counts
