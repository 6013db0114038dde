"""The addresses of the console's pages, for lower floors that link to them (`core.page_links`)."""

from __future__ import annotations

from collections.abc import Callable

from django.urls import reverse

from core import page_links

_PAGES = {
    "job_list": "admin:jobs_job_changelist",
    "execution": "admin:executions_execution_change",
    "extension": "extend_job",
    "unsubscription": "unsubscribe",
    "pause": "admin:windows_window_add",
    "pause_now": "admin:windows_window_pause",
    "slack_test": "admin:slack_test",
    "credential_check": "admin:credential_check",
}


def provide_addresses() -> None:
    """Register every page that lower floors may link to."""
    for name, url_name in _PAGES.items():
        page_links.provide(name, _reversing(url_name))


def _reversing(url_name: str) -> Callable[..., str]:
    def address(*args: object) -> str:
        return reverse(url_name, args=args)

    return address
