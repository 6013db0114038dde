from django.apps import AppConfig


class TaxonomyConfig(AppConfig):
    name = "taxonomy"
    verbose_name = "Taxonomy"

    def ready(self) -> None:
        from accounts import roles
        from audit import listener
        from taxonomy.models import Category, PicTeam

        listener.register(Category, "category")
        listener.register(PicTeam, "pic_team")
        roles.everyone_may("taxonomy.view_category", "taxonomy.view_picteam")
