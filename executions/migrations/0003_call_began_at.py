"""The mark of calls that must not be made twice."""

from typing import Any

from django.db import migrations, models
from django.db.models import F


def mark_dispatches(apps: Any, schema_editor: Any) -> None:
    """A dispatch that an older version began may have left: it is not made again."""
    executions = apps.get_model("executions", "Execution").objects.using(schema_editor.connection.alias)
    open_ones = executions.filter(status="running", execution_type="github_actions", run_id=None)
    open_ones.exclude(worker_id=None).update(call_began_at=F("started_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0002_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="call_began_at",
            field=models.DateTimeField(
                help_text="When the call under way began; empty between calls. Only for targets whose call must not be made twice.",
                null=True,
                verbose_name="call began at",
            ),
        ),
        migrations.RunPython(mark_dispatches, migrations.RunPython.noop, elidable=True),
    ]
