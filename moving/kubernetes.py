"""CronJob manifests of Kubernetes (batch/v1), as YAML or JSON, also as `kubectl get cronjobs -o yaml` lists them.

Kubernetes: "CronJob", fields `schedule`, `timeZone`, `concurrencyPolicy`, `startingDeadlineSeconds`, `suspend`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from moving.day_numbers import with_ranges
from moving.entries import Call, Entry, Unreadable, call_of, safely, zone_of

_OVERLAP = {"Allow": "allow", "Forbid": "skip", "Replace": "skip"}


def read(text: str) -> Iterator[Entry]:
    """The CronJobs of the documents of a file. Raises `Nothing to import` for what is no YAML."""
    try:
        # Aliases let a small file describe an enormous document.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
            raise Unreadable("The file holds YAML aliases, which are not read.")
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError) as exc:
        raise Unreadable(f"The file is no YAML: {str(exc)[:200]}") from exc
    for document in documents:
        if isinstance(document, dict):
            items = document.get("items") if str(document.get("kind", "")).endswith("List") else [document]
            for one in items if isinstance(items, list) else []:
                if isinstance(one, dict) and one.get("kind") == "CronJob":
                    yield safely(_entry, "a CronJob", one)


def _entry(manifest: dict[str, Any]) -> Entry:
    about, spec = _object(manifest.get("metadata")), _object(manifest.get("spec"))
    namespace, name = str(about.get("namespace") or "default"), str(about.get("name") or "unnamed")
    written = str(spec.get("schedule") or "")
    zone = zone_of(str(spec.get("timeZone") or ""))
    fields, changes = _policies(spec)
    if not zone:
        zone = "UTC"
        changes.append("it names no timeZone: it is read in UTC, the usual zone of a cluster")
    call, has_more = _call(spec)
    changes += call.changes
    if not call.target:
        changes.append("its container is not run")
    elif has_more:
        changes.append("its init containers are not run")
    entry = Entry(f"{namespace}/{name}", name, written, _ours(written), zone, call.target, fields, tuple(changes))
    if written.startswith(("TZ=", "CRON_TZ=")):
        return entry.with_problem("its schedule holds a time zone, which Kubernetes refuses: use timeZone")
    if written.startswith("@every"):
        return entry.with_problem("@every counts from when the controller started: write fixed times")
    return entry


def _policies(spec: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    changes: list[str] = []
    policy = str(spec.get("concurrencyPolicy") or "Allow")
    fields: dict[str, Any] = {"overlap_policy": _OVERLAP.get(policy, "allow")}
    if policy == "Replace":
        changes.append("concurrencyPolicy Replace: a run under way is not replaced, the new one is skipped")
    deadline = spec.get("startingDeadlineSeconds")
    if isinstance(deadline, int) and not isinstance(deadline, bool):
        fields |= {"misfire_policy": "skip", "misfire_grace_seconds": min(max(1, deadline), 86_400)}
        if not 1 <= deadline <= 86_400:
            changes.append(f"startingDeadlineSeconds {deadline} becomes {fields['misfire_grace_seconds']}")
    else:
        fields["misfire_policy"] = "run_once"
    if spec.get("suspend") is True:
        changes.append("it is suspended")
    return fields, changes


def _ours(written: str) -> str:
    """Our expression. robfig/cron reads ? as *, and fires on either day where one of the day fields is such as */2,
    which in crontab(5) begins with a star.
    """
    parts = ["*" if part == "?" else part for part in with_ranges(written).split()]
    if len(parts) == 5 and "*" not in {parts[2], parts[4]}:
        parts[2] = parts[2].replace("*/", "1-31/")
        parts[4] = parts[4].replace("*/", "0-6/")
    return " ".join(parts)


def _call(spec: dict[str, Any]) -> tuple[Call, bool]:
    """What its container calls, and whether the pod has init containers."""
    pod = _object(_object(_object(_object(spec.get("jobTemplate")).get("spec")).get("template")).get("spec"))
    containers = pod.get("containers")
    if not (isinstance(containers, list) and len(containers) == 1 and isinstance(containers[0], dict)):
        return Call(), False
    has_more = bool(pod.get("initContainers"))
    parts = [containers[0].get("command") or [], containers[0].get("args") or []]
    words = [str(word) for part in parts if isinstance(part, list) for word in part]
    if len(words) == 3 and words[0].rsplit("/", 1)[-1] in {"sh", "bash"} and words[1] == "-c":
        return call_of(words[2]), has_more
    return call_of(shlex.join(words)), has_more


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
