"""The pages are in `accounts.second_factor.pages`; the reset is an action on users."""

from django.contrib import admin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from console.admin import batches, calendars, changes, executions, jobs, windows

# Their pages are `accounts.second_factor.pages` and an action on users.
admin.site.unregister([TOTPDevice, StaticDevice])

__all__ = ["batches", "calendars", "changes", "executions", "jobs", "windows"]
