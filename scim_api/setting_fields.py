"""The kinds of settings: how each is read from its variable, and what is refused."""

import re
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields, validate

from ledger.keys import KeyUnusable, check_given
from ledger.remote import RemoteTrouble, must_be_url

_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~%-]+)*"
)


class PathField(fields.String):
    """A URL path such as /scim/v2, without a slash at the end."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, *args, **kwargs)).rstrip("/")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
            raise ValidationError("is a path such as /scim/v2: it begins with a slash")
        return text


class UrlField(fields.String):
    """A public base URL as it is pasted into Okta, which takes no underscore (okta.md A4)."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, *args, **kwargs)).rstrip("/")
        if not _URL.fullmatch(text):  # its bytes go into answers as they are
            raise ValidationError("is a URL such as https://scim.example.com/scim/v2")
        if "_" in text:
            raise ValidationError("has an underscore, which Okta refuses in a base URL")
        return text


class FolderField(fields.String):
    """A folder; `~` at its beginning is the home folder, `~name` that of another user."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, *args, **kwargs))
        try:
            folder = Path(text).expanduser() if text.startswith("~") else Path(text)
        except RuntimeError:
            raise ValidationError("begins with ~, and there is no such home folder") from None
        if folder.is_file():
            raise ValidationError("is a folder, and this is a file")
        return str(folder)


def is_url(text: str) -> None:
    try:
        must_be_url(text)
    except RemoteTrouble:
        raise ValidationError("is a URL such as https://anchor.example.com/heads") from None


def is_signing_key(text: str) -> None:
    """Refuse what is no signing key; the text is not repeated."""
    try:
        check_given(text)
    except KeyUnusable:
        raise ValidationError("is 32 bytes in base64: openssl rand -base64 32") from None


def _number(least: int, most: int) -> validate.Range:
    return validate.Range(least, most, error=f"is a whole number from {least:,} to {most:,}")


def whole(default: int, least: int, most: int) -> fields.Integer:
    """Return the field of a setting that is a whole number within bounds."""
    return fields.Integer(
        load_default=default,
        validate=_number(least, most),
        error_messages={"invalid": "is a whole number"},
    )


def switch(default: str) -> fields.String:
    """Return the field of a setting that is on or off."""
    return fields.String(
        load_default=default, validate=validate.OneOf(["on", "off"], error="is on or off")
    )


def setting(
    field: fields.Field[Any], variable: str, meaning: str, *, secret: bool = False
) -> fields.Field[Any]:
    field.data_key = variable
    field.metadata = {"meaning": meaning, "secret": secret}
    return field
