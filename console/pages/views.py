"""Saved views and chosen columns of the lists."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.permissions import require_login
from console.models import SavedView
from settings_app.models import JOBS_TABLE_COLUMNS
from settings_app.services import update_columns


@require_POST
def save(request: HttpRequest) -> HttpResponseBase:
    """Give the shown list a name; a view of the same name is replaced."""
    name = request.POST.get("name", "").strip()
    query = request.POST.get("query", "")
    list_name = request.POST.get("list", "")
    if list_name not in SavedView.List.values:
        return HttpResponseRedirect(reverse("admin:index"))
    back = f"{reverse(f'admin:{list_name}_changelist')}?{query}"
    if not name or len(name) > 60 or len(query) > 1000:
        messages.error(request, _("Give the view a name of up to 60 characters."))
        return HttpResponseRedirect(back)
    SavedView.objects.update_or_create(
        user=require_login(request), list=list_name, name=name, defaults={"query": query}
    )
    messages.success(request, _("The view %(name)s is saved; its address can be sent to others.") % {"name": name})
    return HttpResponseRedirect(back)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Delete one of the user's own views."""
    view = SavedView.objects.filter(pk=pk, user=require_login(request)).first()
    if view is None:
        return HttpResponseRedirect(reverse("admin:index"))
    view.delete()
    messages.success(request, _("The view %(name)s is deleted.") % {"name": view.name})
    return HttpResponseRedirect(reverse(f"admin:{view.list}_changelist"))


@require_POST
def choose_columns(request: HttpRequest) -> HttpResponseBase:
    """Choose the columns of the job list; the React frontend shows the same ones."""
    chosen = {name: name in request.POST for name in JOBS_TABLE_COLUMNS}
    update_columns(require_login(request), {"jobs_table_columns": chosen})
    return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
