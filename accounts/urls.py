from django.urls import path

from accounts import api

urlpatterns = [
    path("auth/login", api.LoginView.as_view()),
    path("auth/login/form", api.FormLoginView.as_view()),
    path("auth/refresh", api.RefreshView.as_view()),
    path("auth/logout", api.LogoutView.as_view()),
    path("auth/verify", api.VerifyView.as_view()),
    path("auth/me", api.MeView.as_view()),
    path("auth/register", api.RegisterView.as_view()),
    path("auth/tokens", api.ApiTokensView.as_view()),
    path("auth/tokens/<str:token_id>", api.ApiTokenView.as_view()),
    path("auth/sessions", api.SessionsView.as_view()),
    path("auth/sessions/<str:session_id>", api.SessionView.as_view()),
    path("auth/users", api.UsersView.as_view()),
    path("auth/users/<str:user_id>", api.UserView.as_view()),
]
