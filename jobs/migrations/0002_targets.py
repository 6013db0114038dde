"""Jobs name their kind of target; the audit trail is the audit app's."""

from typing import Any

from django.db import migrations, models


def name_kinds(apps: Any, schema_editor: Any) -> None:
    apps.get_model("jobs", "Job").objects.filter(target_url="").update(target_kind="github_actions")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_squashed"), ("audit", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("ChangeRecord")]),
        migrations.RemoveConstraint("job", "job_has_exactly_one_target"),
        migrations.AddField(
            "job",
            "target_kind",
            models.CharField("what is called", max_length=20, default="webhook", db_default="webhook"),
        ),
        migrations.AddField(
            model_name="job",
            name="target_options",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="Fields of kinds of targets that have no column of their own.",
                verbose_name="target options",
            ),
        ),
        migrations.RunPython(name_kinds, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("target_kind", "webhook"),
                        models.Q(("target_url", ""), _negated=True),
                        ("github_owner", ""),
                        ("github_repo", ""),
                        ("github_workflow_name", ""),
                    ),
                    models.Q(
                        ("target_kind", "github_actions"),
                        ("target_url", ""),
                        models.Q(("github_owner", ""), _negated=True),
                        models.Q(("github_repo", ""), _negated=True),
                        models.Q(("github_workflow_name", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("target_kind__in", ["webhook", "github_actions"]), _negated=True),
                        ("target_url", ""),
                        ("github_owner", ""),
                        ("github_repo", ""),
                        ("github_workflow_name", ""),
                    ),
                    _connector="OR",
                ),
                name="job_has_exactly_one_target",
            ),
        ),
    ]
