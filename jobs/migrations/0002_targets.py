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
        migrations.RunPython(name_kinds, migrations.RunPython.noop),
    ]
