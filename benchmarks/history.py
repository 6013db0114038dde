"""How long lists, statistics and every page of the admin take with many jobs and a long history on PostgreSQL, and
whether new executions are stored as fast as in an empty database.

Fills a database of its own with jobs as real installations have them and N executions over 90 days (with rollups,
failing jobs, notifications, messages and an audit trail), then prints, through Django's test client, the first answer,
the median and the worst of 15 more, and rows a second of storing 20,000 executions before and after. Run it as
`python benchmarks/history.py --jobs 100000 --executions 10000000`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.fire_lag import show
from benchmarks.installation import SPREAD, empty_database, environment, manage, python

FILL = r"""
import sys
from django.db import connection
count = int(sys.argv[1])
with connection.cursor() as cursor:
    cursor.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
    cursor.execute("CREATE TEMP TABLE numbered AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM jobs_job")
    cursor.execute("SELECT count(*) FROM numbered")
    jobs = cursor.fetchone()[0]
    cursor.execute('''SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || conname,
        'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || conname ||
        ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE contype = 'u' AND conrelid IN ('executions_execution'::regclass,
        'executions_rollup'::regclass)''')
    made = cursor.fetchall()
    cursor.execute('''SELECT 'DROP INDEX ' || indexname, indexdef FROM pg_indexes
        WHERE tablename IN ('executions_execution', 'executions_rollup')
        AND indexname NOT IN (SELECT conname FROM pg_constraint)''')
    made += cursor.fetchall()
    for gone, _ in made:
        cursor.execute(gone)
    for start in range(0, count, 500000):
        cursor.execute('''
            INSERT INTO executions_execution (id, job_id, status, trigger_type, scheduled_for, started_at,
            completed_at, duration_seconds, execution_type, target,
                error_message, output, attempts, run_url, run_conclusion, takeovers, response_status)
            SELECT gen_random_uuid(), j.id, CASE WHEN i %% 33 = 0 THEN 'failed' ELSE 'success' END, 'scheduled', at,
            at, at + interval '200 ms', 0.2, 'webhook', 'http://127.0.0.1/x',
                '', 'ok', '[]', '', '', 0, 200
            FROM (SELECT i, now() - interval '90 days' * (1 - i::float / %s) - interval '1 minute' AS at
            FROM generate_series(%s, %s) i) s JOIN numbered j ON j.n = s.i %% %s
        ''', [count, start, min(start + 500000, count) - 1, jobs])
    for table, extra, group in (("rollup", "job_id, longest", "job_id, "), ("total", "shard", "")):
        values = "job_id, 0.2" if extra != "shard" else "0"
        cursor.execute(f'''
            INSERT INTO executions_{table} (hour, kind, success, failed, cancelled, skipped, missed, seconds,
            success_seconds, {extra})
            SELECT date_trunc('hour', started_at), execution_type, count(*) FILTER (WHERE status = 'success'),
            count(*) FILTER (WHERE status = 'failed'), 0, 0, 0,
                sum(duration_seconds), coalesce(sum(duration_seconds) FILTER (WHERE status = 'success'), 0), {values}
            FROM executions_execution GROUP BY {group} date_trunc('hour', started_at), execution_type ORDER BY 1
        ''')
    for _, again in made:
        cursor.execute(again)
    # Of a job, the last execution decides what the job's lists say; every 50th job alternates between the outcomes.
    cursor.execute('''
        INSERT INTO notifications_failurestate (job_id, recent, failures, since, alerted_at)
        SELECT job_id, CASE WHEN hashtext(job_id::text) % 50 = 0 THEN 'FSFSFSFSF' ELSE 'SSSSSSSSF' END, 1, started_at,
        started_at FROM (SELECT DISTINCT ON (job_id) job_id, status, started_at FROM executions_execution
        ORDER BY job_id, started_at DESC) last WHERE status = 'failed'
    ''')
    cursor.execute('''
        INSERT INTO notifications_event (id, title, message, type, audience, job_id, execution_id, created_at)
        SELECT gen_random_uuid(), 'Job Failed', 'Job failed.', 'error', 'everyone', job_id, id, started_at
        FROM executions_execution WHERE status = 'failed'
    ''')
    cursor.execute('''
        INSERT INTO notifications_message (id, key, channel, recipient, subject, text, html, status, attempts,
        next_attempt_at, last_error, created_at, sent_at)
        SELECT gen_random_uuid(), id::text, 'email', 'qa@example.com', title, message, '', 'sent', 1, created_at, '',
        created_at, created_at FROM notifications_event
    ''')
    cursor.execute('''
        INSERT INTO audit_changerecord (id, subject, subject_id, name, at, kind, by_email, difference)
        SELECT gen_random_uuid(), 'job', j.id, 'job', now() - interval '90 days' * random(), 'updated',
        'admin@example.com', '{"name": ["a", "b"]}' FROM numbered j, generate_series(1, 5)
    ''')
    cursor.execute("VACUUM ANALYZE")
"""
ADD = """
import sys
from django.utils import timezone
tomorrow = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
add_spread_jobs(int(sys.argv[1]), tomorrow)
"""
STORE = """
import time
from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7
from core.db.bulk import insert_new
from executions.models import Execution
from jobs.models import Job
from scheduler.drafts import Row
jobs = list(Job.objects.only("id", "target_url", "github_repo", "metadata")[:10000])
rows = [Row(uuid7(), job.pk, "running", "scheduled", timezone.now(), None, None, "webhook", "http://127.0.0.1/x", "",
"", [], None, timezone.now(), None) for job in jobs * 2]
began = time.perf_counter()
for start in range(0, len(rows), 500):
    with transaction.atomic():
        insert_new(Execution, Row._fields, rows[start : start + 500])
print(round(len(rows) / (time.perf_counter() - began)))
Execution.objects.filter(pk__in=[row.id for row in rows])._raw_delete("default")
"""
ASK = """
import datetime as dt, json, statistics, time
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from accounts.auth import api_tokens
from accounts.models import User
from core.runtime.garbage import tune_garbage_collector
from executions.models import Execution
from jobs.models import Job
user = User.objects.create_user("bench", "bench@example.com", None, role="admin")
token = api_tokens.make(user, "bench")[1]
client = Client(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST="127.0.0.1")
browser = Client(HTTP_HOST="127.0.0.1"); browser.force_login(user, backend="accounts.auth.backends.IdentityBackend")
job = Job.objects.first()
since = (timezone.now() - dt.timedelta(days=90)).date()
executions, jobs, calendar = "/admin/executions/execution/", "/admin/jobs/job/", "/admin/calendar/"
asked = {
    "executions, first page": (client, "/api/v2/executions"),
    "failed executions": (client, "/api/v2/executions?status=failed"),
    "executions of a job": (client, f"/api/v2/jobs/{job.pk}/executions"),
    "executions of a week": (client, f"/api/v2/executions?from={timezone.now().date() - dt.timedelta(days=7)}"),
    "statistics of 90 days": (client, f"/api/v2/executions/statistics?from={since}"),
    "statistics of all time": (client, "/api/v2/executions/statistics"),
    "statistics of a job": (client, f"/api/v2/jobs/{job.pk}/executions/stats"),
    "metrics": (client, "/metrics"),
    "dashboard": (browser, "/admin/"),
    "dashboard, refreshed": (browser, "/admin/dashboard/"),
    "calendar, day": (browser, calendar + "?view=day"),
    "calendar, week": (browser, calendar + "?view=week"),
    "calendar, list": (browser, calendar + "?view=agenda"),
    "calendar, jobs of 09:00": (browser, calendar + "?at=540&until=540"),
    "failing jobs": (browser, jobs + "?attention=failing"),
    "flapping jobs": (browser, jobs + "?attention=flapping"),
    "jobs by next run": (browser, jobs + "?o=5"),
    "jobs searched": (browser, jobs + "?q=job+99"),
    "one job": (browser, f"{jobs}{job.pk}/"),
    "a job's form": (browser, f"{jobs}{job.pk}/change/"),
    "failed executions in the admin": (browser, executions + "?status__exact=failed"),
    "failed executions of last night": (browser, executions + "?status__exact=failed&when=night"),
    "executions of a team": (browser, f"{executions}?job__pic_team__id__exact={job.pic_team_id}"),
    "one execution": (browser, f"{executions}{Execution.objects.first().pk}/change/"),
    "palette": (browser, "/admin/palette/?q=job"),
} | {
    f"list of {model._meta.verbose_name_plural}": (
        browser, reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
    for model in admin.site._registry
}
# As the web processes do once they have loaded everything.
tune_garbage_collector()
for name, (who, address) in asked.items():
    times = []
    for _ in range(16):
        began = time.perf_counter()
        answer = who.get(address)
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status_code in {200, 302, 401, 403}, (address, answer.status_code)
    print(json.dumps({"what": name, "status": answer.status_code, "first_ms": round(times[0], 1),
    "median_ms": round(statistics.median(times[1:]), 1), "worst_ms": round(max(times[1:]), 1)}), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder, empty_database("postgresql") as url:
        env = environment(folder, url) | {"METRICS_PUBLIC": "true"}
        manage(env, "migrate", "-v0")
        python(env, SPREAD + ADD, str(options.jobs))
        before = int(python(env, STORE))
        python(env, FILL, str(options.executions))
        after = int(python(env, STORE))
        rates: dict[str, object] = {
            "stored_per_second_empty": before,
            "stored_per_second": after,
            "ratio": round(after / before, 2),
        }
        show({"jobs": options.jobs, "executions": options.executions, **rates}, options.json)
        for line in python(env, ASK).splitlines():
            show(json.loads(line), options.json)


if __name__ == "__main__":
    main()
