"""What becomes of nominal times on closed days: they run, are skipped, or move to an open day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from calendars.business_days import DAY, BusinessDays

RUN, SKIP, NEXT_OPEN, PREVIOUS_OPEN = "run", "skip", "next_open", "previous_open"
# The most days that counting open days may take: 20 open days with long closures between them.
_COUNTED_WITHIN = 92


@dataclass(frozen=True)
class ClosedDayRule:
    """`on_closed_day`: run, skip, next_open or previous_open. `limit_days`: the farthest open day to move to; beyond it
    the time is skipped. `keep_month`: a move that would leave the month goes the other way ("modified following").
    `open_days`: afterwards the day moves on by so many open days, back if negative (起算スケジュール).
    """

    on_closed_day: str = RUN
    limit_days: int = 10
    keep_month: bool = False
    open_days: int = 0

    @property
    def reach_days(self) -> int:
        """How far a day can move at most."""
        moved = self.limit_days if self.on_closed_day in {NEXT_OPEN, PREVIOUS_OPEN} else 0
        return moved + (_COUNTED_WITHIN if self.open_days else 0)

    @property
    def changes_nothing(self) -> bool:
        return self.on_closed_day == RUN and not self.open_days


class Move(NamedTuple):
    """Where a nominal day goes: the day on which it runs (None: it is skipped), and why the nominal day is closed."""

    nominal: dt.date
    day: dt.date | None
    closed_because: str = ""


def move(nominal: dt.date, calendar: BusinessDays, rule: ClosedDayRule) -> Move:
    """Apply a rule to a nominal day: first what closed days ask for, then the open days to count."""
    reason = calendar.closed_because(nominal)
    day: dt.date | None = nominal
    if reason and rule.on_closed_day == SKIP:
        day = None
    elif reason and rule.on_closed_day in {NEXT_OPEN, PREVIOUS_OPEN}:
        step = DAY if rule.on_closed_day == NEXT_OPEN else -DAY
        day = _open_from(nominal, step, calendar, rule.limit_days)
        if rule.keep_month and day is not None and day.month != nominal.month:
            day = _open_from(nominal, -step, calendar, rule.limit_days)
            day = day if day is not None and day.month == nominal.month else None
    if day is not None and rule.open_days:
        day = calendar.count(day, rule.open_days, limit=_COUNTED_WITHIN)
    return Move(nominal, day, reason)


def _open_from(day: dt.date, step: dt.timedelta, calendar: BusinessDays, limit: int) -> dt.date | None:
    for number in range(1, limit + 1):
        if calendar.is_open(day + number * step):
            return day + number * step
    return None
