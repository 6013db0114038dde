"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import uuid
from typing import Any

import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models

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
    """The categories that every installation starts with."""
    category = apps.get_model("taxonomy", "Category")
    for slug, name in SEED.items():
        category.objects.get_or_create(slug=slug, defaults={"name": name})


class Migration(migrations.Migration):
    replaces = [
        ("taxonomy", "0001_initial"),
        ("taxonomy", "0002_seed_categories"),
        ("taxonomy", "0003_words"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Category",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "slug",
                    models.CharField(
                        blank=True,
                        help_text="Made from the name when left empty. a-z, 0-9 and '-'.",
                        max_length=100,
                        unique=True,
                        verbose_name="slug",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Jobs keep a disabled label, but it cannot be selected.",
                        verbose_name="is active",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "category",
                "verbose_name_plural": "categories",
                "ordering": [django.db.models.functions.text.Lower("name")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", "^[a-z0-9]+(-[a-z0-9]+)*$")), name="category_slug_valid"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PicTeam",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                (
                    "slug",
                    models.CharField(
                        blank=True,
                        help_text="Made from the name when left empty. a-z, 0-9 and '-'.",
                        max_length=100,
                        unique=True,
                        verbose_name="slug",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Jobs keep a disabled label, but it cannot be selected.",
                        verbose_name="is active",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "slack_handle",
                    models.CharField(
                        help_text="The Slack handle that messages mention, such as @qa-team or S0123ABC.",
                        max_length=100,
                        verbose_name="slack handle",
                    ),
                ),
                (
                    "max_concurrent",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="The maximum number of concurrent calls of the team's jobs. Empty: no limit.",
                        null=True,
                        verbose_name="max concurrent",
                    ),
                ),
            ],
            options={
                "verbose_name": "PIC team",
                "verbose_name_plural": "PIC teams",
                "ordering": [django.db.models.functions.text.Lower("name")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("slug__regex", "^[a-z0-9]+(-[a-z0-9]+)*$")), name="pic_team_slug_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_concurrent__isnull", True), ("max_concurrent__gte", 1), _connector="OR"
                        ),
                        name="pic_team_max_concurrent",
                    ),
                ],
            },
        ),
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
