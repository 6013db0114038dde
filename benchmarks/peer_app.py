"""The same work done by the peers: Celery beat with django-celery-beat and Redis, and APScheduler with
django-apscheduler's store.

Settings and program in one: `PEER_FOLDER`, `PEER_BROKER` and `PEER_TARGET` come from the environment.
"""

from __future__ import annotations

import os
import sys
import time

import requests

SECRET_KEY = "for benchmarks only"
USE_TZ = True
TIME_ZONE = "Asia/Tokyo"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_beat", "django_apscheduler"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("PEER_FOLDER", ".") + "/peer.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=wal"},
    }
}
TARGET = os.environ.get("PEER_TARGET", "")
_session = requests.Session()


def call(number: int) -> None:
    """What each job does."""
    _session.get(f"{TARGET}/{number}", timeout=30)


def celery_app() -> object:
    import django
    from celery import Celery

    django.setup()
    app = Celery("peer", broker=os.environ["PEER_BROKER"])
    app.conf.update(
        timezone="Asia/Tokyo",
        beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
        task_ignore_result=True,
        worker_prefetch_multiplier=16,
    )
    app.task(name="call")(call)
    return app


def seed_celery(count: int) -> None:
    from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

    every_minute, _ = CrontabSchedule.objects.get_or_create(timezone="Asia/Tokyo")
    PeriodicTask.objects.bulk_create(
        PeriodicTask(name=f"job {n}", task="call", args=f"[{n}]", crontab=every_minute) for n in range(count)
    )
    PeriodicTasks.update_changed()


def send_celery(count: int) -> None:
    app = celery_app()
    for number in range(count):
        app.send_task("call", args=[number])  # type: ignore[attr-defined]


def apscheduler(count: int) -> None:
    """Store the jobs, say so, and run them until killed."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.cron import CronTrigger
    from django_apscheduler.jobstores import DjangoJobStore

    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(100)}, job_defaults={"misfire_grace_time": None, "coalesce": True}
    )
    scheduler.add_jobstore(DjangoJobStore(), "default")
    scheduler.start(paused=True)
    for number in range(count):
        scheduler.add_job(
            "benchmarks.peer_app:call", CronTrigger.from_crontab("* * * * *"), id=str(number), args=[number]
        )
    print("ready", flush=True)
    sys.stdin.readline()
    scheduler.resume()
    time.sleep(3600)


if os.environ.get("PEER_BROKER") and "celery" in sys.argv[0]:
    app = celery_app()

if __name__ == "__main__":
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.peer_app"
    django.setup()
    {"seed": seed_celery, "send": send_celery, "apscheduler": apscheduler}[sys.argv[1]](int(sys.argv[2]))
