"""What each role may do: the one place that the API's rules and the admin's permissions come from.

Names are Django's (`app.verb_model`). Admins hold all of them. Which rows a permission covers is decided where the rows are: users change
and run their own jobs only (`jobs.services.may_touch`).
"""

from __future__ import annotations

_READ = frozenset(
    {
        "jobs.view_job",
        "jobs.view_changerecord",
        "executions.view_execution",
        "taxonomy.view_category",
        "taxonomy.view_picteam",
        "scheduler.view_leadership",
    }
)
GRANTS: dict[str, frozenset[str]] = {
    "viewer": _READ,
    "user": _READ | {"jobs.add_job", "jobs.change_job", "jobs.delete_job"},
}


def grants(role: str, permission: str) -> bool:
    """Whether a role other than admin holds a permission."""
    return permission in GRANTS.get(role, frozenset())


def grants_any(role: str, app: str) -> bool:
    """Whether a role other than admin holds some permission of an app."""
    return any(name.startswith(f"{app}.") for name in GRANTS.get(role, frozenset()))
