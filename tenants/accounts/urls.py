"""What stands under `/accounts/`, with the paths and names that Django gives its own views."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants.accounts import views
from tenants.accounts.pages import as_page

app_name = "accounts"
_PAGES = {
    "": ("home", views.list_tenants),
    "login/": ("login", views.SignIn.as_view()),
    "logout/": ("logout", LogoutView.as_view()),
    "password_change/": ("password_change", views.ChangePassword.as_view()),
    "password_reset/": ("password_reset", views.ResetPassword.as_view()),
    "reset/<uidb64>/<token>/": ("password_reset_confirm", views.SetPassword.as_view()),
    "invitations/<token>/": ("invitation", views.show_invitation),
}
urlpatterns = [path(route, as_page(view), name=name) for route, (name, view) in _PAGES.items()]
