"""The notification routes as a part of docs/notifications.md."""

from __future__ import annotations

import textwrap

from notifications.routing_table import ROUTES, Route

_BEGIN, _END = "<!-- routes: made by `make docs` -->", "<!-- end of routes -->"
_WIDTH = 118


def with_routes(page: str) -> str:
    """The page with its routes written anew, between two marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    entries = "\n\n".join(_entry(route) for route in ROUTES.values())
    return f"{before}{_BEGIN}\n\n{entries}\n\n{_END}{after}"


def _entry(route: Route) -> str:
    readers = route.in_app.readers if route.in_app else ""
    lines = [
        _wrapped(f"**When {route.event}**", ""),
        _wrapped(f"- in the app: {readers or 'nobody'}", "  "),
        _wrapped(f"- e-mail: {route.email or 'nobody'}", "  "),
        _wrapped(f"- Slack: {route.slack or 'nobody'}", "  "),
    ]
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
