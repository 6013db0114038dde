"""Tables under the names of their models; any kind of target may be named."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0001_squashed")]

    operations = [
        migrations.RenameModel("Slots", "LimitAllocation"),
        migrations.RenameModel("Past", "HistoryVersion"),
        migrations.RenameModel("Lateness", "FireLagBucket"),
        migrations.AlterField(
            model_name="execution",
            name="execution_type",
            field=models.CharField(max_length=15, verbose_name="execution type"),
        ),
        migrations.AlterField(
            model_name="limitallocation",
            name="limit",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="allocations",
                to="executions.sharedlimit",
                verbose_name="limit",
            ),
        ),
        migrations.AlterField(
            model_name="rollup",
            name="kind",
            field=models.CharField(max_length=15, verbose_name="execution type"),
        ),
        migrations.AlterField(
            model_name="total",
            name="kind",
            field=models.CharField(max_length=15, verbose_name="execution type"),
        ),
    ]
