"""Jobs of Google Cloud Scheduler, as `gcloud scheduler jobs list --format=json` prints them (Cloud Scheduler: "Cron job
format and time zone"; REST resource `projects.locations.jobs`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from moving.entries import Entry, read_json, safely, zone_of

_EVERY = re.compile(r"every (\d{1,6}) (minutes|mins|hours)", re.IGNORECASE)
_SECONDS = re.compile(r"(\d{1,6})(?:\.\d+)?s")
# Headers that Cloud Scheduler adds itself.
_THEIRS = {"user-agent", "x-cloudscheduler", "content-length", "host"}
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"}


def read(text: str) -> Iterator[Entry]:
    """The entries of an export. Raises `Nothing to import` for what is no JSON."""
    told = read_json(text)
    jobs = told.get("jobs", [told]) if isinstance(told, dict) else told
    for one in jobs if isinstance(jobs, list) else []:
        if isinstance(one, dict) and one.get("schedule"):
            yield safely(_entry, "a job", one)


def _entry(one: dict[str, Any]) -> Entry:
    source = str(one.get("name") or "")
    written = str(one["schedule"])
    zone = zone_of(str(one.get("timeZone") or "UTC"))
    entry = Entry(source, source.rsplit("/", 1)[-1] or "unnamed", written, written, zone, *_call(one))
    if one.get("state") == "PAUSED":
        entry = entry.with_change("it is paused")
    if not entry.target:
        entry = entry.with_change("its target is no HTTP address")
    retries = one.get("retryConfig")
    if isinstance(retries, dict) and isinstance(retries.get("retryCount"), int) and retries["retryCount"] > 0:
        entry = entry._replace(fields={**entry.fields, "max_attempts": min(20, 1 + retries["retryCount"])})
    if isinstance(one.get("httpTarget"), dict) and (one["httpTarget"].keys() & {"oidcToken", "oauthToken"}):
        entry = entry.with_change("its Google token is not sent: choose a webhook credential")
    http = one.get("httpTarget")
    if isinstance(http, dict) and http.get("body") and not entry.fields.get("body_text"):
        entry = entry.with_change("its body is no text: it is not sent")
    if isinstance(http, dict) and str(http.get("httpMethod") or "POST").upper() not in _METHODS:
        entry = entry.with_problem("its method is none that a webhook has")
    return _with_times(entry, written)


def _with_times(entry: Entry, written: str) -> Entry:
    if found := _EVERY.fullmatch(written.strip()):
        number, is_minutes = int(found[1]), found[2].lower().startswith("min")
        whole = 60 if is_minutes else 24
        if not number or whole % number:
            return entry.with_problem(f"an interval of {number} has no fixed times")
        step = f"*/{number}" if number > 1 else "*"
        change = "the interval counts from the end of the run before; the job has fixed times"
        return entry._replace(cron=f"{step} * * * *" if is_minutes else f"0 {step} * * *").with_change(change)
    return entry


def _call(one: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The target and the request of a job."""
    http = one.get("httpTarget")
    if not isinstance(http, dict) or not isinstance(http.get("uri"), str):
        return {}, {}
    method = str(http.get("httpMethod") or "POST").upper()
    fields: dict[str, Any] = {"method": method if method in _METHODS else "POST"}
    headers = http.get("headers")
    if isinstance(headers, dict):
        fields["headers"] = {str(name): str(text) for name, text in headers.items() if name.lower() not in _THEIRS}
    try:
        body = base64.b64decode(http.get("body") or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
        body = ""
    if body:
        fields |= {"body": "text", "body_text": body}
    elif method in {"POST", "PUT", "PATCH"}:
        fields["body"] = "none"
    if found := _SECONDS.fullmatch(str(one.get("attemptDeadline") or "")):
        fields["timeout_seconds"] = min(max(1, int(found[1])), 3600)
    return {"target_url": http["uri"]}, fields
