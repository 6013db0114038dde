"""What is kept beside an execution, in tables of their own, so that its lists and inserts stay small."""

from __future__ import annotations

from django.db import models
from django.db.models import JSONField, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.encryption import EncryptedTextField
from executions.models.execution import Execution


def _part_of_execution(related_name: str) -> models.OneToOneField[Execution, Execution]:
    """The key of a table beside that of executions. There is no foreign key of the database, which would lock the
    execution at each insert: the code that deletes executions deletes the parts with them (`executions.retention`).
    """
    return models.OneToOneField(
        Execution,
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name=related_name,
        verbose_name=_("execution"),
    )


class Exchange(models.Model):
    """The last call of an execution: the request as it was sent, and the answer, as `executions.exchanges` writes them.

    It is a table of its own, so that lists and inserts of executions stay as small as they are.
    """

    execution = _part_of_execution("exchange")
    content = models.TextField(_("content"))

    class Meta:
        verbose_name = _("request and answer")
        verbose_name_plural = _("requests and answers")

    def __str__(self) -> str:
        return str(self.execution_id)


class Report(models.Model):
    """What is known of work elsewhere: what the receiver of a webhook told last, or what failed in a workflow run.
    `counts` are numbers by name, such as of tests passed and failed. `failures`: the failed jobs of a run, as
    `executions.targets.github.failures` reads them.
    """

    class State(models.TextChoices):
        PROGRESS = "progress", _("Progress")
        SUCCESS = "success", _("Success")
        FAILED = "failed", _("Failed")

    execution = _part_of_execution("report")
    status = models.CharField(_("status"), max_length=10, choices=State.choices)
    told_at = models.DateTimeField(_("told at"))
    message = models.CharField(_("message"), max_length=1000, blank=True)
    counts = models.JSONField(_("counts"), default=dict, blank=True)
    url = models.CharField(_("link"), max_length=2048, blank=True)
    failures = models.JSONField(_("failures"), default=list, blank=True, db_default=Value([], JSONField()))
    failing_tests = models.JSONField(
        _("failing tests"), null=True, blank=True, help_text=_("Their names; none if no test report was read.")
    )

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["progress", "success", "failed"]), name="report_status_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.status} of {self.execution_id}"


class Poll(models.Model):
    """The status address that is asked how the work of an execution goes on: next at `next_at`, and then after
    `wait_seconds` unless it asks for another time. It goes when the execution has ended.
    """

    execution = _part_of_execution("poll")
    # It may hold what the request's secrets are.
    url = EncryptedTextField(_("status address"))
    next_at = models.DateTimeField(_("next at"))
    wait_seconds = models.FloatField(_("wait (seconds)"))
    problem = models.CharField(_("problem"), max_length=300, blank=True, db_default="")

    class Meta:
        verbose_name = _("poll")
        verbose_name_plural = _("polls")
        indexes = [models.Index(fields=["next_at"], name="poll_next")]

    def __str__(self) -> str:
        return str(self.execution_id)


class BudgetWait(models.Model):
    """How long the budget of a credential let a dispatch wait, from `since`; `seconds` is None while it waits."""

    execution = _part_of_execution("budget_wait")
    credential = models.CharField(_("credential"), max_length=100)
    since = models.DateTimeField(_("since"))
    seconds = models.FloatField(_("seconds"), null=True)

    class Meta:
        verbose_name = _("wait for a budget")
        verbose_name_plural = _("waits for a budget")

    def __str__(self) -> str:
        return str(self.execution_id)


class WorkflowRun(models.Model):
    """What is known of a workflow run beyond its execution; most runs have none.

    `attempts`: the attempts of the run that ended, `[{"attempt", "conclusion", "started_at",
    "ended_at", "seconds", "run_again_at"}]`. `reruns`: how
    often its failed jobs were run again for the job's `rerun_failed_jobs`; `rerun_at`: when they are next.
    `watched_until`: until when an ended execution's run is followed, because people may run it again. `look_at`: when
    GitHub told that there is something new. `waiting_since`: since when it waits for an approval, and `told_waiting`
    whether that was told.
    """

    execution = _part_of_execution("workflow_run")
    attempts = models.JSONField(_("attempts"), default=list, blank=True)
    reruns = models.PositiveSmallIntegerField(_("re-runs"), default=0)
    rerun_at = models.DateTimeField(_("run again at"), null=True)
    watched_until = models.DateTimeField(_("watched until"), null=True)
    look_at = models.DateTimeField(_("look at"), null=True)
    waiting_since = models.DateTimeField(_("waits for an approval since"), null=True)
    told_waiting = models.BooleanField(_("the wait was told"), default=False)
    is_flaky = models.BooleanField(_("flaky"), default=False)

    class Meta:
        verbose_name = _("workflow run")
        verbose_name_plural = _("workflow runs")
        indexes = [
            models.Index(
                fields=["watched_until"], name="workflow_run_watched", condition=Q(watched_until__isnull=False)
            ),
            models.Index(fields=["look_at"], name="workflow_run_look", condition=Q(look_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.execution_id)


class StepLog(models.Model):
    """The last lines of the log of the first step that failed in a workflow run, without known secrets."""

    execution = _part_of_execution("step_log")
    step = models.CharField(_("step"), max_length=300)
    text = models.TextField(_("text"))
    kept_at = models.DateTimeField(_("kept at"), default=timezone.now)

    class Meta:
        verbose_name = _("log of a step")
        verbose_name_plural = _("logs of steps")
        indexes = [models.Index(fields=["kept_at"], name="step_log_kept")]

    def __str__(self) -> str:
        return self.step


# Whoever deletes executions deletes their rows in these tables with them.
PARTS: tuple[type[models.Model], ...] = (Exchange, Report, Poll, BudgetWait, WorkflowRun, StepLog)
