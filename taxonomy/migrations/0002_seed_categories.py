"""The categories that every installation starts with."""

from typing import Any

from django.db import migrations

SEED = {
    "general": "General",
    "regression": "Regression",
    "dr-testing": "DR Testing",
    "feature-testing": "Feature Testing",
    "prod-canary": "Prod/Canary",
    "refund": "Refund",
    "backward-compatibility": "Backward Compatibility",
}


def seed(apps: Any, schema_editor: Any) -> None:
    category = apps.get_model("taxonomy", "Category")
    for slug, name in SEED.items():
        category.objects.get_or_create(slug=slug, defaults={"name": name})


class Migration(migrations.Migration):
    dependencies = [("taxonomy", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
