"""Tuning of Python's garbage collector."""

from __future__ import annotations

import gc


def tune_garbage_collector() -> None:
    """Exempt loaded objects from garbage collection and collect less often.

    Thousands of deliveries or rows are alive at once; with the default thresholds the collector scans them again and
    again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
