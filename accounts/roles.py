"""The permissions of each role: the one source of the API's rules and the admin's permissions.

Names are Django's (`app.verb_model`). Admins hold every permission. Each app grants the permissions of its own models
when it starts. A permission covers all rows of a model; rules about single rows are with the rows
(`jobs.services.may_touch`).
"""

from __future__ import annotations

from collections import defaultdict

VIEWER, USER = "viewer", "user"
_granted: defaultdict[str, set[str]] = defaultdict(set)


def everyone_may(*permissions: str) -> None:
    """Grant permissions to the roles viewer and user."""
    _granted[VIEWER].update(permissions)
    users_may(*permissions)


def users_may(*permissions: str) -> None:
    """Grant permissions to the role user."""
    _granted[USER].update(permissions)


def grants(role: str, permission: str) -> bool:
    """Whether a role other than admin holds a permission."""
    return permission in _granted[role]


def grants_any(role: str, app: str) -> bool:
    """Whether a role other than admin holds at least one permission of an app."""
    return any(name.startswith(f"{app}.") for name in _granted[role])
