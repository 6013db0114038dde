"""Who leads, by the database's clock."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from scheduler.models import Leadership

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("skew", [dt.timedelta(hours=-1), dt.timedelta(hours=1)])
def test_a_clock_that_is_wrong_here_changes_nothing(skew: dt.timedelta) -> None:
    now = timezone.now()
    Leadership.objects.create(leader_id="h:1", heartbeat_at=now)
    with time_machine.travel(now + skew, tick=False):
        assert Leadership.current().is_live
    Leadership.objects.update(heartbeat_at=now - dt.timedelta(minutes=5))
    with time_machine.travel(now - dt.timedelta(minutes=5), tick=False):
        assert not Leadership.current().is_live
