"""Every URL of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from accounts.second_factor.pages import page as second_factor_page
from accounts.set_password import page as set_password_page
from console.pages.feed import feed
from console.pages.link_preview import page as link_preview_page
from console.pages.public import extension, unsubscription
from cronsched import health, openapi_views
from cronsched.echo import echo
from cronsched.ops.metrics import metrics
from executions.hook_api import GitHubHookView

# `executions` comes before `jobs`, because "jobs/test-run" would match "jobs/<id>".
_APPS = [
    "accounts",
    "audit",
    "taxonomy",
    "settings_app",
    "executions",
    "jobs",
    "moving",
    "windows",
    "notifications",
    "scheduler",
]

urlpatterns = [
    path("", health.root),
    path("admin/", admin.site.urls),
    path("extend/<str:token>/", extension, name="extend_job"),
    path("unsubscribe/<str:token>/", unsubscription, name="unsubscribe"),
    path("summary/<str:token>/", link_preview_page, name="link_preview"),
    path("calendar/<str:token>.ics", feed, name="feed"),
    path("metrics", metrics),
    path("echo", echo),
    path("set-password/<str:uidb64>/<str:token>/", set_password_page, name="set_password"),
    path("second-factor/", second_factor_page, name="second_factor"),
    *([path("oidc/", include("mozilla_django_oidc.urls"))] if settings.OIDC_RP_CLIENT_ID else []),
    path("i18n/", include("django.conf.urls.i18n")),
    path("hooks/github", GitHubHookView.as_view(), name="github_hook"),
    path("docs", openapi_views.DocsView.as_view()),
    path("redoc", openapi_views.RedocView.as_view()),
    path("api/v2/health", health.HealthView.as_view()),
    path("api/v2/openapi.json", openapi_views.SchemaView.as_view(), name="openapi"),
    # In this order: executions has `jobs/test-run`, which `jobs/<id>` would match.
    *(path("api/v2/", include(f"{app}.urls")) for app in _APPS),
]

handler400 = "cronsched.errors.bad_request"
handler404 = "cronsched.errors.not_found"
handler500 = "cronsched.errors.server_error"
