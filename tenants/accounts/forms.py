"""Django's own forms, where members need them to be a little different."""

import threading
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, SetPasswordForm

from tenants.apps import get_settings
from tenants.lifecycle.members import find_account


class SignInForm(AuthenticationForm):
    """Takes a username or an e-mail address; whether there is such an account, it doesn't tell."""

    error_messages = {  # noqa: RUF012
        **AuthenticationForm.error_messages,
        "invalid_login": "This name and this password don't belong to an account.",
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["username"].label = "E-mail address or username"

    def clean_username(self) -> str:
        # An unknown name goes on as it is, for Django to take as long over it as over a known one.
        name: str = self.cleaned_data["username"]
        account = find_account(name)
        return account.username if account else name


class ResetForm(PasswordResetForm):
    """Mails a link that begins with our own address, and takes no longer where there is an account.

    Django's would begin with the host that was asked. Tenants have hosts of their own, and the
    link must not depend on who sent somebody there.
    """

    def save(self, *args: Any, **options: Any) -> None:
        options["extra_email_context"] = {
            "public_url": get_settings().public_url,
            "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
        }
        super().save(*args, **options)

    def send_mail(self, *args: Any, **options: Any) -> None:
        threading.Thread(target=super().send_mail, args=args, kwargs=options).start()


class SignUpForm(SetPasswordForm):  # type: ignore[type-arg]  # It has some in the stubs only.
    """The password of an account that is to be made, asked for twice.

    email: for people and their password managers to see; what comes back in it counts for nothing.
    """

    email = forms.EmailField(
        label="E-mail address",
        disabled=True,
        widget=forms.EmailInput(attrs={"autocomplete": "username"}),
    )
    new_password1, new_password2 = SetPasswordForm.create_password_fields(
        "Password", "Password, once more"
    )
    field_order = ("email", "new_password1", "new_password2")
