"""What the API of an installation answers, as the recorded answers have it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

PATHS = (
    "/jobs",
    "/executions?limit=50",
    "/executions/statistics",
    "/notifications?per_page=100",
    "/auth/users",
    "/pic-teams",
    "/job-categories",
    "/settings/slack",
)


def answers() -> dict[str, Any]:
    """The answers to an admin, at the moment of the recording."""
    import time_machine
    from django.utils import timezone
    from rest_framework.test import APIClient

    from accounts.auth.jwt import AccessToken, issue
    from accounts.models import LoginSession, User

    with time_machine.travel(dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC), tick=False):
        admin = User.objects.get(username="ada")
        ends = timezone.now() + dt.timedelta(days=1)
        session = LoginSession.objects.create(user=admin, expires_at=ends, auth_hash=admin.get_session_auth_hash())
        client: Any = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue(AccessToken, session)}")
        found = {path: client.get(f"/api/v2{path}").json() for path in PATHS}
        for job in found["/jobs"]["jobs"]:
            path = f"/jobs/{job['id']}/executions/stats"
            found[path] = client.get(f"/api/v2{path}").json()
    return found


def main() -> None:
    import django

    django.setup()
    print(json.dumps(answers(), ensure_ascii=False))


if __name__ == "__main__":
    main()
