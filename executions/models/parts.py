"""What is kept beside an execution, in tables of their own, so that its lists and inserts stay small."""

from __future__ import annotations

from django.db import models
from django.db.models import JSONField, Q, Value
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
