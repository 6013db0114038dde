"""How the admin looks and what its sidebar offers (django-unfold)."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _link(title: Any, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}


def _list(title: Any, icon: str, model: str) -> dict[str, Any]:
    link = _link(title, icon, f"{model}_changelist")
    return {**link, "permission": lambda request: request.user.has_perm(f"{model.replace('_', '.view_', 1)}")}


def _style(name: str) -> Any:
    return lambda request: static(f"console/{name}.css")


def _script(name: str) -> Any:
    return lambda request: static(f"console/{name}.js")


UNFOLD = {
    "SITE_TITLE": "Cronsched",
    "SITE_HEADER": "Cronsched",
    "SITE_SUBHEADER": _("Scheduled jobs"),
    "SITE_URL": "/docs",
    "SITE_ICON": lambda request: static("console/icon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/icon.svg")},
    ],
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": False,
    "STYLES": [_style(name) for name in ("tokens", "parts", "shell", "lists", "pages", "calendar")],
    "SCRIPTS": [_script(name) for name in ("console", "live", "palette")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    _link(_("Dashboard"), "monitor_heart", "index"),
                    _link(_("Calendar"), "calendar_month", "calendar"),
                    _list(_("Jobs"), "schedule", "jobs_job"),
                    _list(_("Executions"), "history", "executions_execution"),
                    _list(_("Batches"), "replay", "executions_batch"),
                    {
                        **_link(_("Import"), "upload_file", "import_jobs"),
                        "permission": lambda request: request.user.has_perm("jobs.add_job"),
                    },
                ]
            },
            {
                "title": _("Setup"),
                "separator": True,
                "items": [
                    _list(_("Categories"), "label", "taxonomy_category"),
                    _list(_("Teams"), "groups", "taxonomy_picteam"),
                    _list(_("Windows"), "pause_circle", "windows_window"),
                    _list(_("Business calendars"), "event_busy", "calendars_calendar"),
                    _list(_("GitHub credentials"), "vpn_key", "settings_app_githubcredential"),
                    _list(_("Webhook credentials"), "passkey", "settings_app_webhookcredential"),
                    _list(_("Secrets"), "lock", "settings_app_secret"),
                    _list(_("GITHUB_TOKEN"), "key", "settings_app_environmenttoken"),
                    _list(_("Users"), "person", "accounts_user"),
                ],
            },
            {
                "title": _("Notifications"),
                "separator": True,
                "items": [
                    _list(_("Slack"), "forum", "settings_app_slacksettings"),
                    _list(_("Messages"), "outgoing_mail", "notifications_message"),
                    _list(_("All notifications"), "notifications", "notifications_event"),
                    _list(_("Outcomes without notifications"), "notification_important", "executions_pendingoutcome"),
                    _list(_("Notification preferences"), "tune", "settings_app_preferences"),
                ],
            },
            {
                "title": _("System"),
                "separator": True,
                "collapsible": True,
                "items": [
                    _list(_("Audit trail"), "difference", "audit_changerecord"),
                    _list(_("Leadership"), "shield_person", "scheduler_leadership"),
                    _list(_("Leader history"), "swap_horiz", "scheduler_leaderterm"),
                    _list(_("Resyncs"), "sync", "scheduler_resync"),
                    _list(_("Workers"), "engineering", "executions_worker"),
                    _list(_("Web sessions"), "devices", "accounts_websession"),
                    _list(_("API logins"), "key", "accounts_loginsession"),
                    _list(_("API tokens"), "password", "accounts_apitoken"),
                    _list(_("Housekeeping"), "cleaning_services", "django_apscheduler_djangojobexecution"),
                ],
            },
        ],
    },
}
