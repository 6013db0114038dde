from django.urls import path

from taxonomy import api

urlpatterns = [
    path("job-categories", api.CategoriesView.as_view()),
    path("job-categories/<str:label_id>", api.CategoryView.as_view()),
    path("pic-teams", api.PicTeamsView.as_view()),
    path("pic-teams/<str:label_id>", api.PicTeamView.as_view()),
]
