from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig

if TYPE_CHECKING:
    from jobs.signals import JobChange


class ExecutionsConfig(AppConfig):
    name = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        from accounts import roles
        from executions import moved_runs, retention
        from executions.batches import progress
        from executions.statistics import rollups
        from executions.targets import register_kinds
        from jobs.signals import jobs_changed, runs_moved

        def forget(sender: Any, changes: Sequence[JobChange], **_: Any) -> None:
            if deleted := [change.job.pk for change in changes if change.kind == "deleted"]:
                rollups.forget_jobs(deleted)
                retention.delete_short_histories(deleted)
                progress.give_up(deleted)

        runs_moved.connect(moved_runs.on_runs_moved, dispatch_uid="executions.moved_runs")
        jobs_changed.connect(forget, weak=False, dispatch_uid="executions.rollups")
        register_kinds()
        roles.everyone_may("executions.view_execution", "executions.view_batch")
