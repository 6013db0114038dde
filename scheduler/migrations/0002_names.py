"""Tables under the names of their models."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0001_squashed")]

    operations = [migrations.RenameModel("Trouble", "Incident")]
