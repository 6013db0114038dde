"""The admin's pages on PostgreSQL, whose SQL differs where the console asks for much at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from tests.support.contract import make_job, team
from tests.support.installation import ADMIN_PASSWORD, Installation
from tests.support.postgres import Postgres
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long

PAGES = [
    "", "dashboard/", "calendar/", "calendar/?view=week", "jobs/job/", "jobs/job/?attention=failing",
    "jobs/job/preview/?cron=0+9+*+*+*",
    "executions/execution/", "executions/execution/?when=night", "audit/changerecord/", "accounts/user/",
    "taxonomy/picteam/",
]  # fmt: skip


def test_every_page(tmp_path: Path, target: Target) -> None:
    with (
        Postgres() as server,
        Installation(tmp_path, schedulers=0, env={"DATABASE_URL": server.migrated()}) as running,
    ):
        team(running.admin)
        job = make_job(running.admin, target_url=target.url + "/status/500", cron_expression="*/5 * * * *")
        asked = running.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
        wait_until(lambda: running.admin.get(f"/executions/{asked}").json()["execution"]["status"] == "failed")
        base = f"http://127.0.0.1:{running.port}/admin/"
        session = requests.Session()
        session.trust_env = False
        page = session.get(base + "login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"username": "admin", "password": ADMIN_PASSWORD, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        session.post(base + "login/", form, headers={"Referer": base + "login/"}, timeout=30)
        mine = f"jobs/job/{job['id']}/"
        pages = [*PAGES, mine, f"{mine}live/", f"{mine}change/", f"executions/execution/{asked}/change/"]
        answers = {path: session.get(base + path, timeout=30).status_code for path in pages}
    assert {path: status for path, status in answers.items() if status != 200} == {}
