"""The Celery application. It has no result backend: results are rows in the database."""

from __future__ import annotations

from celery import Celery
from django.conf import settings

from executions.celery_backend.dispatch import queues

app = Celery("cronsched", broker=settings.BROKER_URL, set_as_current=True)
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue=queues()[0],
    timezone="UTC",
    imports=["executions.celery_backend.tasks"],
    # A worker prefetches only what it can hold; other messages stay visible to other workers.
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=2,
    broker_transport_options={
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "socket_keepalive": True,
        "max_retries": 1,
        "interval_start": 0.1,
    },
)
