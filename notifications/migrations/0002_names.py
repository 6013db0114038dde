"""Tables and columns under the names of their models and fields."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_squashed")]

    operations = [
        migrations.RemoveIndex("streak", "streak_told"),
        migrations.RenameModel("Streak", "FailureState"),
        migrations.RenameField("failurestate", "told_at", "alerted_at"),
        migrations.AddIndex(
            "failurestate",
            models.Index(fields=["alerted_at"], name="failure_alerted", condition=Q(alerted_at__isnull=False)),
        ),
    ]
