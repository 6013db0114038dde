"""Accounts are made with a link for their holder."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client, override_settings
from django.urls import reverse

from accounts import invitations
from accounts.models import User
from audit.models import ChangeRecord

pytestmark = pytest.mark.django_db
NEW = {"username": "ken", "email": "ken@example.com", "role": "user", "admin_access": "on"}
PASSWORD = "correct horse battery"


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("uma", admin_access=True)


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("vic", "viewer", admin_access=True)


def path_of(page: str) -> str:
    found = re.search(r'id="link">https?://[^/]+(/[^<]+)<', page)
    assert found
    return found[1]


def chosen(link: str, password: str = PASSWORD) -> Any:
    somebody = Client()
    form = somebody.get(link, follow=True)
    return somebody.post(form.request["PATH_INFO"], {"new_password1": password, "new_password2": password}, follow=True)


def test_a_colleague_is_in_with_the_link(browser: Client) -> None:
    made = browser.post(reverse("admin:accounts_user_add"), NEW)
    assert made["Cache-Control"].startswith("no-store")
    user = User.objects.get(username="ken")
    assert (user.has_usable_password(), user.is_staff, user.role) == (False, True, "user")
    link = path_of(made.content.decode())
    chosen(link)
    assert Client().login(username="ken", password=PASSWORD)
    assert b"This link has ended" in Client().get(link).content
    kinds = set(ChangeRecord.objects.values_list("kind", flat=True))
    assert "set-password link made" in kinds


def test_a_weak_password_is_refused(browser: Client) -> None:
    link = path_of(browser.post(reverse("admin:accounts_user_add"), NEW).content.decode())
    assert b"errorlist" in chosen(link, "12345678").content
    assert not User.objects.get(username="ken").has_usable_password()


def test_a_reset_ends_sessions_and_tokens(browser: Client, user: User, browser_of: Callable[[User], Client]) -> None:
    theirs = browser_of(user)
    assert theirs.get(reverse("admin:index")).status_code == 200
    made = browser.post(reverse("admin:accounts_user_invitation", args=[user.pk]))
    chosen(path_of(made.content.decode()))
    assert theirs.get(reverse("admin:index")).status_code == 302


def test_only_admins_make_links(user: User, admin: User, browser_of: Callable[[User], Client]) -> None:
    page = reverse("admin:accounts_user_invitation", args=[admin.pk])
    assert browser_of(user).post(page).status_code == 403
    assert Client().post(page).status_code == 302
    assert browser_of(admin).get(page).status_code == 405


def test_ones_own_password_takes_the_old_one(admin: User, browser: Client) -> None:
    answer = browser.post(reverse("admin:accounts_user_invitation", args=[admin.pk]))
    assert answer["Location"] == reverse("admin:password_change")


@override_settings(MAIL_ENABLED=True)
def test_the_link_is_mailed_where_mail_works(browser: Client) -> None:
    page = browser.post(reverse("admin:accounts_user_add"), NEW).content.decode()
    assert "It was also mailed to ken@example.com." in page
    assert mail.outbox[0].to == ["ken@example.com"]
    assert path_of(page) in mail.outbox[0].body


def test_a_link_of_one_account_opens_no_other(admin: User, user: User) -> None:
    link = invitations.make_link(user, by=admin)
    token = link.rstrip("/").rpartition("/")[2]
    other = invitations.make_link(admin, by=admin).split("/set-password/")[1].split("/")[0]
    assert b"This link has ended" in Client().get(f"/set-password/{other}/{token}/").content
    for odd in ("x", "!!", "%00", "a" * 400):
        assert Client().get(f"/set-password/{odd}/{token}/").status_code in {200, 400, 404}


def test_what_the_login_says(browser_of: Any, make_user: Callable[..., User]) -> None:
    def said(name: str, password: str) -> str:
        page = Client().post(reverse("admin:login"), {"username": name, "password": password}).content.decode()
        return page.partition('id="login-error">')[2].partition("</p>")[0].strip()

    outside = make_user("outside", "user", admin_access=False)
    outside.set_password(PASSWORD)
    outside.save()
    assert said("nobody", "wrong").startswith("The username or the password is wrong")
    assert said("outside", PASSWORD) == "This account may not enter the admin. Ask an admin for access."
    assert said("", "") == "Write your username and your password."
