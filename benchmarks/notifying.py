"""What deciding about notifications costs, after outcomes are stored: successes of jobs without a channel, and of jobs
that alert on failures.

Both kinds alternate in one process, so that a busy machine disturbs both alike. It prints the CPU time of an outcome.
Run it as `python benchmarks/notifying.py --jobs 10000 --rounds 5`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.installation import by_rounds

MEASURE = """
import datetime as dt, json, statistics, sys, time
from django.utils import timezone
from executions.models import Execution, PendingOutcome
from jobs.models import Job
from notifications.models import Event
from notifications.outcomes import notify_pending
from taxonomy.models import Category, PicTeam
count, rounds = int(sys.argv[1]), int(sys.argv[2])
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
kinds = {"plain": {}, "alerting": {"alert_slack": True, "enable_email_notifications": True}}
now = timezone.now()
for kind, fields in kinds.items():
    jobs = Job.objects.bulk_create([
        Job(name=f"{kind} {n}", cron_expression="0 9 * * *", target_url="https://x.example.com/", category=general,
            pic_team=team, end_date=dt.date(2099, 12, 31), notification_emails=["a@example.com"], **fields)
        for n in range(count)
    ])
    kinds[kind] = [one.pk for one in Execution.objects.bulk_create([
        Execution(job=job, status="success", trigger_type="scheduled", execution_type="webhook", target="x",
                  scheduled_for=now, started_at=now, completed_at=now, duration_seconds=0.05)
        for job in jobs
    ])]
found = {kind: [] for kind in kinds}
for number in range(rounds + 1):
    for kind in kinds if number % 2 else reversed(kinds):
        PendingOutcome.objects.bulk_create([PendingOutcome(execution_id=pk) for pk in kinds[kind]])
        began = time.process_time()
        while notify_pending():
            pass
        took = time.process_time() - began
        assert Event.objects.count() == count, Event.objects.count()
        Event.objects.all()._raw_delete("default")
        if number:
            found[kind].append(1e6 * took / count)
medians = {kind: statistics.median(values) for kind, values in found.items()}
print(json.dumps({
    "jobs": count,
    **{f"{kind}_cpu_us": round(value, 1) for kind, value in medians.items()},
    "ratio_of_medians": round(medians["alerting"] / medians["plain"], 3),
}))
"""

if __name__ == "__main__":
    by_rounds(__doc__, MEASURE, rounds=5)
