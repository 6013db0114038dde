"""Signals that apps on higher floors receive."""

from __future__ import annotations

from django.dispatch import Signal

# Sent by the recorder inside the transaction that stores the outcomes. Argument: `finished`, a list of
# `executions.recording.Finished`.
executions_finished = Signal()
