"""The settings of a job that concern workflows of GitHub Actions. They are declared here, and only here
(docs/adding-a-job-field.md); docs/github.md describes them to users.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.field_traits import Section, declare
from jobs.request_fields import RequestSettings
from settings_app.models import GitHubCredential


class WorkflowSettings(RequestSettings):
    """How a workflow is dispatched, and what follows from the end of its run."""

    github_ref = declare(
        models.CharField(
            _("branch or tag"),
            max_length=255,
            blank=True,
            help_text=_("Empty: branchDetails of the metadata, else master, else the default branch."),
        ),
        section=Section.TARGET,
        target="github_actions",
        fired=True,
    )
    github_credential = declare(
        models.ForeignKey(
            GitHubCredential,
            on_delete=models.PROTECT,
            null=True,
            blank=True,
            related_name="jobs",
            verbose_name=_("GitHub credential"),
            help_text=_("Empty: the installation's GITHUB_TOKEN."),
        ),
        section=Section.TARGET,
        target="github_actions",
        rule=True,
        lookup="github_credential__name",
        fired=True,
        help="Its name; null for the installation's own token.",
    )
    wait_for_run = declare(
        models.BooleanField(
            _("wait for the run"),
            default=True,
            help_text=_("The conclusion of the workflow run decides the outcome."),
        ),
        section=Section.TARGET,
        target="github_actions",
        fired=True,
    )
    priority = declare(
        models.PositiveSmallIntegerField(
            _("priority"),
            default=5,
            db_default=5,
            help_text=_(
                "Which dispatch leaves first where the budget of the credential lets them wait. 1 is first, 9 is last."
            ),
        ),
        section=Section.TARGET,
        target="github_actions",
        bounds=(1, 9),
        fired=True,
        beyond=True,
    )
    rerun_failed_jobs = declare(
        models.PositiveSmallIntegerField(
            _("re-runs of failed jobs"),
            default=0,
            db_default=0,
            help_text=_(
                "How often the failed jobs of a run are run again before the run counts as failed. 0 to 3; 0 is never."
            ),
        ),
        section=Section.TARGET,
        target="github_actions",
        row="reruns",
        bounds=(0, 3),
        beyond=True,
    )
    rerun_after_seconds = declare(
        models.PositiveIntegerField(
            _("re-run after (seconds)"),
            default=60,
            db_default=60,
            help_text=_("The wait before the failed jobs are run again. 0 to 86400 seconds."),
        ),
        section=Section.TARGET,
        target="github_actions",
        row="reruns",
        bounds=(0, 86_400),
        beyond=True,
    )
    approval_alert_minutes = declare(
        models.PositiveIntegerField(
            _("tell of a waiting approval after (minutes)"),
            default=60,
            db_default=60,
            help_text=_("An alert if a run waits for an approval for longer. 0: never. 0 to 50400 minutes."),
        ),
        section=Section.NOTIFICATIONS,
        target="github_actions",
        bounds=(0, 50_400),
        beyond=True,
    )
    fail_if_displaced = declare(
        models.BooleanField(
            _("a displaced run is a failure"),
            default=False,
            db_default=False,
            help_text=_(
                "A newer run of the same concurrency group can take the place of a run before any job of it started. "
                "Off: such a run is skipped, without an alert."
            ),
        ),
        section=Section.TARGET,
        target="github_actions",
        beyond=True,
    )
    keep_step_log = declare(
        models.BooleanField(
            _("keep the end of the failed step's log"),
            default=False,
            db_default=False,
            help_text=_("Its last 50 lines, without known secrets, for 30 days."),
        ),
        section=Section.TARGET,
        target="github_actions",
        row="evidence",
        beyond=True,
    )
    test_report = declare(
        models.CharField(
            _("test report"),
            max_length=100,
            blank=True,
            default="",
            db_default="",
            help_text=_(
                "The name of the run's artifact with JUnit XML files, or with a summary as JSON. Empty: none is read."
            ),
        ),
        section=Section.TARGET,
        target="github_actions",
        row="evidence",
        beyond=True,
    )

    class Meta:
        abstract = True
