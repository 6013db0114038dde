"""Gunicorn's configuration for the web processes; run as `gunicorn -c python:cronsched.gunicorn cronsched.wsgi`."""

from __future__ import annotations

import os
from typing import Any

from core.runtime.garbage import tune_garbage_collector
from cronsched import settings

# The worker's class is loaded before the application.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronsched.settings")
bind = f"{settings.HOST}:{settings.PORT}"
workers = settings.WEB_WORKERS
threads = settings.WEB_THREADS
worker_class = "cronsched.web_worker.BufferingWorker"
proc_name = "cronsched-web"
umask = 0o077
# Requests have about 11 s of it, the manual runs of this process the rest.
graceful_timeout = settings.ENGINE_DRAIN_SECONDS + 12
timeout = 60
keepalive = 15
control_socket_disable = True
# A client's SCRIPT_NAME or PATH_INFO header must not become part of the address.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
errorlog = "-"
loglevel = "warning"


def post_worker_init(worker: Any) -> None:
    """Everything is loaded at this point."""
    from scheduler import watchdog

    tune_garbage_collector()
    watchdog.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Let the manual runs of this process finish, and record their outcomes."""
    from executions.backends import shut_down

    shut_down()
