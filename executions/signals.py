"""Signals that apps on higher floors receive."""

from __future__ import annotations

from django.dispatch import Signal

# Sent by the recorder after it has stored outcomes, outside of any transaction. A receiver returns whether it should be
# sent again soon.
outcomes_queued = Signal()
