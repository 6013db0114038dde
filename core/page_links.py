"""Links to pages that belong to upper floors.

The app that serves a page registers its address when it starts; lower floors look it up by name. So no lower floor
contains a URL of the admin.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

_addresses: dict[str, Callable[..., str]] = {}


def provide(name: str, address: Callable[..., str]) -> None:
    """Register the function that builds the path of the page `name`."""
    _addresses[name] = address


def path_of(name: str, /, *args: object, **query: object) -> str:
    """The path of a page with these arguments and query parameters; '' if no app provides the page."""
    if name not in _addresses:
        return ""
    path = _addresses[name](*args)
    return f"{path}?{urlencode(query)}" if query else path
