"""Signals that apps on higher floors receive."""

from __future__ import annotations

from django.dispatch import Signal

# Sent by the recorder after it has stored outcomes, outside of any transaction. A receiver returns whether it should be
# sent again soon.
outcomes_queued = Signal()
# Sent by the run follower, in a transaction, when a run has waited for an approval (`execution`, `since`) for longer
# than its job says.
approval_awaited = Signal()
