"""Settings: from the environment only, checked at start by a marshmallow schema."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from ledger.http_client import RemoteTrouble, must_be_url
from ledger.signing.keys import KeyUnusable, check_given

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


DEVELOPMENT, PRODUCTION = "development", "production"


class SettingsError(Exception):
    """A setting is wrong; the message says how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a process, checked."""

    env: str
    data_dir: Path
    bind: str
    port: int
    workers: int
    threads: int
    feeds: int
    base_path: str
    base_url: str | None
    trusted_proxies: int
    log_level: str
    max_body: int
    max_results: int
    write_patience: float
    shutdown_grace: int
    request_log_rows: int
    request_log_days: int
    key_dir: Path | None
    signing_key: str | None
    config_public: bool
    tlog_public: bool
    anchor_dir: Path | None
    anchor_url: str | None
    witness_dir: Path | None

    @property
    def production(self) -> bool:
        return self.env == PRODUCTION

    @property
    def local_url(self) -> str:
        """The SCIM base URL on this machine."""
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        return f"http://{host}:{self.port}{self.base_path}"


class SettingsSchema(Schema):
    """Every setting: its variable, default and meaning. `config show` and the docs read this."""

    env = setting(
        fields.String(
            load_default=DEVELOPMENT,
            validate=validate.OneOf(
                [DEVELOPMENT, PRODUCTION], error="is development or production"
            ),
        ),
        "SCIM_ENV",
        "development or production; production refuses what is unsafe there",
    )
    data_dir = setting(
        FolderField(load_default="var"),
        "SCIM_DATA_DIR",
        "folder of the ledgers, each in a folder of its own",
    )
    bind = setting(
        fields.String(load_default="127.0.0.1", validate=validate.Length(min=1)),
        "SCIM_BIND",
        "address to listen on",
    )
    port = setting(whole(8000, 1, 65535), "PORT", "port to listen on")
    workers = setting(
        whole(2, 1, 64),
        "WEB_CONCURRENCY",
        "worker processes",
    )
    threads = setting(
        whole(4, 1, 128),
        "SCIM_THREADS",
        "threads of each worker process",
    )
    feeds = setting(
        whole(64, 0, 512),
        "SCIM_FEEDS",
        "clients of each worker process that may wait for events, beside its threads",
    )
    base_path = setting(
        PathField(load_default="/scim/v2"),
        "SCIM_BASE_PATH",
        "path of the SCIM base on this server",
    )
    base_url = setting(
        UrlField(load_default=None, allow_none=True),
        "SCIM_BASE_URL",
        "public SCIM base URL as pasted into Okta; by default, what the request says",
    )
    trusted_proxies = setting(
        whole(0, 0, 10),
        "SCIM_TRUSTED_PROXIES",
        "how many proxies in front set X-Forwarded-For, -Proto and -Host",
    )
    log_level = setting(
        fields.String(
            load_default="info",
            validate=validate.OneOf(
                ["debug", "info", "warning", "error"],
                error="is debug, info, warning or error",
            ),
        ),
        "SCIM_LOG_LEVEL",
        "debug, info, warning or error",
    )
    max_body = setting(
        whole(33_554_432, 10_000, 100_000_000),
        "SCIM_MAX_BODY",
        "largest body of a group, in bytes",
    )
    max_results = setting(
        whole(1000, 100, 10_000),
        "SCIM_MAX_RESULTS",
        "most resources on one page, whatever count says",
    )
    write_patience = setting(
        fields.Float(
            load_default=10.0,
            validate=validate.Range(0.1, 50, error="is a number of seconds from 0.1 to 50"),
            error_messages=dict.fromkeys(("invalid", "special"), "is a number of seconds"),
        ),
        "SCIM_WRITE_PATIENCE",
        "longest wait for a turn to write, in seconds, before 429 is answered",
    )
    shutdown_grace = setting(
        whole(30, 1, 600),
        "SCIM_SHUTDOWN_GRACE",
        "seconds for requests in flight to finish after SIGTERM",
    )
    request_log_rows = setting(
        whole(100_000, 100, 1_000_000),
        "SCIM_REQUEST_LOG_ROWS",
        "most refused and unchanging requests that are kept of a ledger's clients",
    )
    request_log_days = setting(
        whole(90, 1, 3650),
        "SCIM_REQUEST_LOG_DAYS",
        "days for which they are kept",
    )

    key_dir = setting(
        FolderField(load_default=None, allow_none=True),
        "SCIM_KEY_DIR",
        "folder of the keys that sign tree heads, each in a folder named as its ledger; by default,"
        " beside the ledger",
    )
    signing_key = setting(
        fields.String(load_default=None, allow_none=True, validate=is_signing_key),
        "SCIM_SIGNING_KEY",
        "the key that signs tree heads, instead of one in a file: 32 bytes in base64",
        secret=True,
    )
    config_public = setting(
        switch("on"),
        "SCIM_PROVIDER_CONFIG_PUBLIC",
        "on: ServiceProviderConfig can be read without a token, and nothing else of SCIM can",
    )
    tlog_public = setting(
        switch("off"),
        "SCIM_TLOG_PUBLIC",
        "on: /ledger/v1/tlog needs no token, so that anybody can audit the ledger's hashes",
    )
    anchor_dir = setting(
        FolderField(load_default=None, allow_none=True),
        "SCIM_ANCHOR_DIR",
        "folder where each tree head becomes a file, such as a write-once mount",
    )
    anchor_url = setting(
        fields.String(load_default=None, allow_none=True, validate=is_url),
        "SCIM_ANCHOR_URL",
        "URL to which each tree head is posted",
        secret=True,
    )
    witness_dir = setting(
        FolderField(load_default=None, allow_none=True),
        "SCIM_WITNESS_DIR",
        "folder of a witness, or of several, whose tree heads the ledgers have to live up to",
    )

    @validates_schema(skip_on_field_errors=True)
    def _safe_in_production(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["env"] != PRODUCTION:
            return
        if not (data["base_url"] or "").startswith("https://"):
            raise ValidationError(
                "must be set to an https URL in production, such as"
                " https://scim.example.com/scim/v2",
                "SCIM_BASE_URL",
            )
        if not Path(data["data_dir"]).is_absolute():
            raise ValidationError(
                "must be set to an absolute path in production, such as /var/lib/scim-ledger",
                "SCIM_DATA_DIR",
            )

    @post_load
    def _settings(self, data: dict[str, Any], **_: Any) -> Settings:
        data["data_dir"] = Path(data["data_dir"])
        for name in ("config_public", "tlog_public"):
            data[name] = data[name] == "on"
        for name in ("key_dir", "anchor_dir", "witness_dir"):
            data[name] = Path(data[name]) if data[name] else None
        if data["base_url"] and not urlsplit(data["base_url"]).path:
            data["base_url"] += data["base_path"]
        return Settings(**data)


SCHEMA = SettingsSchema()
VARIABLES: Mapping[str, str] = {str(field.data_key): name for name, field in SCHEMA.fields.items()}


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError, which names each variable and how to mend it.

    An empty variable counts as not set.
    """
    given = {k: v for k, v in environment.items() if k in VARIABLES and v != ""}
    try:
        settings: Settings = SCHEMA.load(given)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, given))) from None
    return settings


def _sentences(error: ValidationError, given: Mapping[str, str]) -> list[str]:
    messages: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return [
        f"{variable}={_shown(variable, given)}: {variable} {text.removesuffix('.')}"
        for variable, texts in messages.items()
        for text in texts
    ]


def _shown(variable: str, given: Mapping[str, str]) -> str:
    """Return a value as an error may repeat it."""
    secret = variable in VARIABLES and SCHEMA.fields[VARIABLES[variable]].metadata["secret"]
    value = given.get(variable, "")
    return "…" if secret else value if value.isprintable() else ascii(value)


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each SCIM_ variable that means nothing here, with a near miss named."""
    return [
        f"{name} is not a setting" + _suggestion(name)
        for name in sorted(environment)
        if name.startswith("SCIM_") and name not in VARIABLES
    ]


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, VARIABLES, n=1)
    return f"; did you mean {near[0]}?" if near else ""
