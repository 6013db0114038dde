"""Reads and writes an installation's database from outside, quickly: no fault test waits for Django to start."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import psycopg

from tests.support.installation import Installation
from tests.support.target import Target, wait_until

# Fire times of the rounds: minutes of the day before yesterday, which the jobs' schedule does not name.
FIRST = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).replace(second=0, microsecond=0)
SCHEDULE = f"0 0 1 {(FIRST + dt.timedelta(days=180)).month} *"


class Ledger:
    """`jobs` jobs whose fire times the test sets, and what became of them."""

    def __init__(self, installation: Installation, target: Target, jobs: int, path: str = "/ok") -> None:
        self.installation = installation
        self.jobs = jobs
        self._url = installation.env.get("DATABASE_URL", "")
        self._target = target
        self.rounds = 0
        installation.python(
            "import datetime as dt\n"
            "from jobs.models import Job; from jobs.services import add_jobs; from taxonomy.models import "
            "Category, PicTeam\n"
            "team = PicTeam.objects.create(name='T', slug='t', slack_handle='@t'); general = "
            "Category.objects.get(slug='general')\n"
            f"add_jobs([Job(name=f'job {{n}}', cron_expression='{SCHEDULE}', target_url='{target.url}{path}', "
            f"category=general, pic_team=team,"
            f" end_date=dt.date(2099, 12, 31)) for n in range({jobs})], by=None)"
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self._url:
            with psycopg.connect(self._url) as connection:
                cursor = connection.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []
        path = self.installation.folder / "cronsched.sqlite3"
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as plain:
            return plain.execute(sql).fetchall()

    def make_due(self) -> None:
        """Begin the next round: every job is due at a minute of its own."""
        self.rounds += 1
        moment = FIRST + dt.timedelta(minutes=self.rounds)
        self.query(f"UPDATE jobs_job SET next_run_at = '{self._text(moment)}'")
        self.query("UPDATE jobs_revision SET number = number + 1")

    def _text(self, moment: dt.datetime) -> str:
        return f"{moment:%Y-%m-%d %H:%M:%S}{'+00' if self._url else ''}"

    def wait_until_fired(self) -> None:
        """Wait until nothing is due."""
        wait_until(lambda: self._due() == 0, 30)

    def _due(self) -> int:
        now = self._text(dt.datetime.now(dt.UTC))
        return int(self.query(f"SELECT count(*) FROM jobs_job WHERE next_run_at < '{now}'")[0][0])

    def leader(self) -> int:
        """The pid of the leader; 0 without one."""
        found = self.query("SELECT leader_id FROM scheduler_leadership")
        return int(found[0][0].split(":")[1]) if found and found[0][0] else 0

    def wait_for_leader(self, other_than: int = 0) -> int:
        return int(wait_until(lambda: (pid := self.leader()) not in {0, other_than} and pid, 60))

    def settle(self, timeout: float = 45) -> None:
        """Wait until every round has fired and no execution is open."""

        def settled() -> bool:
            # In this order: a row that is fired between the two questions is seen by the second.
            if self._due():
                return False
            open_rows = "SELECT count(*) FROM executions_execution WHERE status IN ('running', 'queued')"
            return bool(self.query(open_rows)[0][0] == 0)

        wait_until(settled, timeout)

    def check(self) -> None:
        """Executions = fire times, calls >= executions, none left running."""
        rows = self.query("SELECT id, job_id, scheduled_for, status FROM executions_execution")
        times = Counter((row[1], row[2]) for row in rows)
        assert len(times) == self.jobs * self.rounds, f"{self.jobs * self.rounds - len(times)} fire times are lost"
        assert set(times.values()) == {1}, "a fire time was doubled"
        called = {arrival.headers["Idempotency-Key"].replace("-", "") for arrival in self._target.arrivals}
        uncalled = [row for row in rows if row[3] == "success" and str(row[0]).replace("-", "") not in called]
        assert not uncalled
        assert {row[3] for row in rows} == {"success"}, Counter(row[3] for row in rows)
