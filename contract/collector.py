"""How often Python looks for garbage."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Keep what is loaded out of the collector's sight, and let it look rarely.

    Thousands of deliveries or rows at once are no garbage: by default the collector would look through all of them again and again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
