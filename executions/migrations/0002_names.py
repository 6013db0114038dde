"""Tables under the names of their models."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("executions", "0001_squashed")]

    operations = [
        migrations.RenameModel("Slots", "LimitAllocation"),
        migrations.RenameModel("Past", "HistoryVersion"),
        migrations.RenameModel("Lateness", "FireLagBucket"),
    ]
