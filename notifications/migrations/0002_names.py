"""Tables and columns under the names of their models and fields."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_squashed"), ("jobs", "0002_targets")]

    operations = [
        migrations.RemoveIndex("streak", "streak_told"),
        migrations.RenameModel("Streak", "FailureState"),
        migrations.RenameField("failurestate", "told_at", "alerted_at"),
        migrations.AddIndex(
            "failurestate",
            models.Index(fields=["alerted_at"], name="failure_alerted", condition=Q(alerted_at__isnull=False)),
        ),
        migrations.AlterField(
            model_name="failurestate",
            name="job",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                primary_key=True,
                related_name="failure_state",
                serialize=False,
                to="jobs.job",
            ),
        ),
    ]
