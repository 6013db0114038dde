"""What the stand-in says of the inputs of a dispatch (GitHub, "Workflow syntax: on.workflow_dispatch.inputs")."""

from __future__ import annotations

import json
from typing import Any

from executions.targets.github import workflow_inputs
from executions.targets.github.workflow_inputs import Unreadable

_MOST = 25


def refusal(text: str | None, given: Any) -> str:
    """The message with which a dispatch of this workflow file is refused (422); '' for one that is accepted."""
    if text is None:
        return ""
    try:
        declared = workflow_inputs.declared(text)
    except Unreadable:
        return "Workflow does not have 'workflow_dispatch' trigger"
    names = list(given) if isinstance(given, dict) else []
    if len(names) > _MOST:
        return f"Invalid request. No more than {_MOST} properties are allowed; {len(names)} were supplied."
    if unexpected := [name for name in names if name not in declared]:
        return f"Unexpected inputs provided: {json.dumps(unexpected)}"
    for name, spec in declared.items():
        if name not in names and workflow_inputs.must_be_given(spec):
            return f"Required input '{name}' not provided"
        options = spec.get("options")
        if name in names and isinstance(options, list) and given[name] not in options:
            return f"Provided value '{given[name]}' for input '{name}' not in the list of allowed values"
    return ""
