"""Settings: from the environment only, each declared once, checked at start."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import OneOf, Range

from ledger.http_client import RemoteTrouble, must_be_url
from ledger.signing.keys import KeyUnusable, seed_of

DEVELOPMENT, PRODUCTION = "development", "production"

# How a client may authenticate: a token alone or after Bearer, one as the password of Basic, or an
# access token of OAuth 2.
HEADER, BASIC, OAUTH = "header", "basic", "oauth"
SCHEMES = (HEADER, BASIC, OAUTH)

_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~%-]+)*"
)
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]+")
MICROSOFT_HOSTS = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
)


class SettingsError(Exception):
    """A setting is wrong; the message says how to mend it."""


# How the text of a variable is read


def _path(text: str) -> str:
    text = text.rstrip("/")
    if not _PATH.fullmatch(text):
        raise ValidationError("must be a path that begins with a slash, such as /scim/v2")
    return text


def _base_url(text: str) -> str:
    """Read a public base URL as it is pasted into Okta, which takes no underscore."""
    text = text.rstrip("/")
    if not _URL.fullmatch(text):  # its bytes go into answers as they are
        raise ValidationError("must be a URL such as https://scim.example.com/scim/v2")
    if "_" in text:
        raise ValidationError("has an underscore, which Okta refuses in a base URL")
    return text


def _folder(text: str) -> Path:
    """Read a folder; `~` at its beginning is the home folder, `~name` that of another user."""
    try:
        folder = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError:
        raise ValidationError("begins with ~, and there is no such home folder") from None
    if folder.is_file():
        raise ValidationError("must be a folder, and this is a file")
    return folder


def _file(text: str) -> Path:
    """Read a file, and keep its whole path: it is opened again from wherever the process is."""
    if Path(text).is_dir():
        raise ValidationError("must be a file, and this is a folder")
    return Path(text).expanduser().absolute()


def _hosts(text: str) -> tuple[str, ...]:
    """Read host names or IP addresses, without a port, separated by commas."""
    hosts = tuple(each.strip().lower() for each in text.split(","))
    if not all(map(_HOST.fullmatch, hosts)):
        raise ValidationError("must be host names separated by commas, such as login.example.com")
    return hosts


def _schemes(text: str) -> tuple[str, ...]:
    """Read a list of ways to authenticate, in whatever order."""
    named = {word.strip() for word in text.split(",")}
    if not named.issubset(SCHEMES):
        raise ValidationError(f"must be one or more of {','.join(SCHEMES)}")
    return tuple(scheme for scheme in SCHEMES if scheme in named)


def _checked(by: Any, error: type[Exception], sentence: str) -> fields.Field[Any]:
    """Return the field of a text that a function accepts; what it refuses is not repeated."""

    def read(text: str) -> str:
        try:
            by(text)
        except error:
            raise ValidationError(sentence) from None
        return text

    return _read(read)


def _read(by: Any, default: Any = None) -> fields.Field[Any]:
    return fields.Function(deserialize=by, load_default=default)


def _choice(*words: str, default: str) -> fields.Field[Any]:
    error = f"must be {', '.join(words[:-1])} or {words[-1]}"
    return fields.String(load_default=default, validate=OneOf(words, error=error))


def _switch(default: bool) -> fields.Field[Any]:
    says: dict[str, Any] = {"invalid": "must be on or off"}
    return fields.Boolean(truthy={"on"}, falsy={"off"}, load_default=default, error_messages=says)


def _number(default: float, least: float, most: float) -> fields.Field[Any]:
    """Return the field of a whole number, or of seconds where the default has a fraction."""
    whole = isinstance(default, int)
    sentence = "must be a whole number" if whole else "must be a number of seconds"
    return (fields.Integer if whole else fields.Float)(
        load_default=default,
        validate=Range(least, most, error=f"{sentence} from {least:,} to {most:,}"),
        error_messages={"invalid": sentence, "special": sentence},
    )


def _setting(variable: str, field: fields.Field[Any], meaning: str, *, secret: bool = False) -> Any:
    """Declare a setting: its variable, how it is read, by default what, and its meaning."""
    field.data_key = variable
    return dataclasses.field(metadata={"field": field, "meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a process, checked. `config show` and the docs are made of this."""

    env: str = _setting(
        "SCIM_ENV",
        _choice(DEVELOPMENT, PRODUCTION, default=DEVELOPMENT),
        "development or production; production refuses what is unsafe there",
    )
    data_dir: Path = _setting(
        "SCIM_DATA_DIR",
        _read(_folder, Path("var")),
        "folder of the ledgers, each in a folder of its own",
    )
    bind: str = _setting("SCIM_BIND", _read(str, "127.0.0.1"), "address to listen on")
    port: int = _setting("PORT", _number(8000, 1, 65535), "port to listen on")
    workers: int = _setting("WEB_CONCURRENCY", _number(2, 1, 64), "worker processes")
    threads: int = _setting(
        "SCIM_THREADS",
        _number(4, 1, 128),
        "threads of each worker process that answer reads, and as many more that write",
    )
    feeds: int = _setting(
        "SCIM_FEEDS",
        _number(64, 0, 512),
        "clients of each worker process that may wait for events, beside its threads",
    )
    address_connections: int = _setting(
        "SCIM_ADDRESS_CONNECTIONS",
        _number(250, 1, 10_000),
        "connections that each worker process keeps of one address; behind trusted proxies,"
        " requests under way",
    )
    base_path: str = _setting(
        "SCIM_BASE_PATH", _read(_path, "/scim/v2"), "path of the SCIM base on this server"
    )
    base_url: str | None = _setting(
        "SCIM_BASE_URL",
        _read(_base_url),
        "public SCIM base URL as pasted into Okta; by default, what the request says",
    )
    trusted_proxies: int = _setting(
        "SCIM_TRUSTED_PROXIES",
        _number(0, 0, 10),
        "how many proxies in front set X-Forwarded-For, -Proto and -Host",
    )
    log_level: str = _setting(
        "SCIM_LOG_LEVEL",
        _choice("debug", "info", "warning", "error", default="info"),
        "debug, info, warning or error",
    )
    log_file: Path | None = _setting(
        "SCIM_LOG_FILE",
        _read(_file),
        "file of the service's log, instead of stderr; after USR1 it is opened again by its name",
    )
    max_body: int = _setting(
        "SCIM_MAX_BODY",
        _number(33_554_432, 10_000, 100_000_000),
        "largest body of a group, in bytes",
    )
    request_rate: int = _setting(
        "SCIM_REQUEST_RATE",
        _number(0, 0, 100_000),
        "most requests of a credential in a minute, in all worker processes; 0 is no limit",
    )
    refusal_rate: int = _setting(
        "SCIM_REFUSAL_RATE",
        _number(300, 0, 100_000),
        "most attempts of an address, without a valid credential or with one that may not be used"
        " from there, that are refused by 401 or 403 in a minute; then by 429; 0 is no limit",
    )
    unused_days: int = _setting(
        "SCIM_UNUSED_DAYS",
        _number(90, 1, 3650),
        "days after which a credential that nobody used is shown as unused",
    )
    max_results: int = _setting(
        "SCIM_MAX_RESULTS",
        _number(1000, 100, 10_000),
        "most resources on one page, whatever count says",
    )
    write_patience: float = _setting(
        "SCIM_WRITE_PATIENCE",
        _number(10.0, 0.1, 50),
        "longest wait for a turn to write, in seconds, before 429 is answered",
    )
    shutdown_grace: int = _setting(
        "SCIM_SHUTDOWN_GRACE",
        _number(30, 1, 600),
        "seconds for requests in flight to finish after SIGTERM",
    )
    access_token_minutes: int = _setting(
        "SCIM_ACCESS_TOKEN_MINUTES",
        _number(60, 1, 1440),
        "minutes for which an OAuth access token lives",
    )
    refresh_token_days: int = _setting(
        "SCIM_REFRESH_TOKEN_DAYS",
        _number(365, 1, 3650),
        "days after which an OAuth refresh token that was not used ends",
    )
    request_log_rows: int = _setting(
        "SCIM_REQUEST_LOG_ROWS",
        _number(100_000, 100, 1_000_000),
        "most refused and unchanging requests that are kept of a ledger's clients",
    )
    request_log_days: int = _setting(
        "SCIM_REQUEST_LOG_DAYS", _number(90, 1, 3650), "days for which they are kept"
    )
    key_dir: Path | None = _setting(
        "SCIM_KEY_DIR",
        _read(_folder),
        "folder of the keys that sign tree heads, each in a folder named as its ledger; by default,"
        " beside the ledger",
    )
    signing_key: str | None = _setting(
        "SCIM_SIGNING_KEY",
        _checked(seed_of, KeyUnusable, "must be 32 bytes in base64: openssl rand -base64 32"),
        "the key that signs tree heads, instead of one in a file: 32 bytes in base64",
        secret=True,
    )
    authentication: tuple[str, ...] = _setting(
        "SCIM_AUTHENTICATION",
        _read(_schemes, SCHEMES),
        "how clients may authenticate: header (a token alone or after Bearer), basic (a token as"
        " the password), oauth (access tokens, and the addresses that give them)",
    )
    config_public: bool = _setting(
        "SCIM_PROVIDER_CONFIG_PUBLIC",
        _switch(True),
        "on: ServiceProviderConfig can be read without a token, and nothing else of SCIM can",
    )
    jwks_hosts: tuple[str, ...] = _setting(
        "SCIM_JWKS_HOSTS",
        _read(_hosts, MICROSOFT_HOSTS),
        "hosts from which the key sets of clients may be fetched, separated by commas",
    )
    tlog_public: bool = _setting(
        "SCIM_TLOG_PUBLIC",
        _switch(False),
        "on: /ledger/v1/tlog needs no token, so that anybody can audit the ledger's hashes",
    )
    anchor_dir: Path | None = _setting(
        "SCIM_ANCHOR_DIR",
        _read(_folder),
        "folder where each tree head becomes a file, such as a write-once mount",
    )
    anchor_url: str | None = _setting(
        "SCIM_ANCHOR_URL",
        _checked(
            must_be_url, RemoteTrouble, "must be a URL such as https://anchor.example.com/heads"
        ),
        "URL to which each tree head is posted",
        secret=True,
    )
    witness_dir: Path | None = _setting(
        "SCIM_WITNESS_DIR",
        _read(_folder),
        "folder of a witness, or of several, whose tree heads the ledgers have to live up to",
    )

    @property
    def production(self) -> bool:
        return self.env == PRODUCTION

    @property
    def root_url(self) -> str | None:
        """The public URL of the root of this server, without a slash; None: the request says it."""
        if self.base_url is None:
            return None
        parts = urlsplit(self.base_url)
        below = parts.path.endswith(self.base_path)  # else a proxy rewrites paths
        path = parts.path.removesuffix(self.base_path) if below else ""
        return f"{parts.scheme}://{parts.netloc}{path}"

    @property
    def takes_tokens(self) -> bool:
        """Whether a token opens anything; with OAuth alone only access tokens do."""
        return HEADER in self.authentication or BASIC in self.authentication

    @property
    def local_url(self) -> str:
        """The SCIM base URL on this machine."""
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        return f"http://{host}:{self.port}{self.base_path}"


_DECLARED = {
    each.metadata["field"].data_key: each for each in dataclasses.fields(Settings)
}  # by variable
_SCHEMA = Schema.from_dict({d.name: d.metadata["field"] for d in _DECLARED.values()})()
VARIABLES = frozenset(_DECLARED)


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError, which names each variable and how to mend it.

    An empty variable counts as not set.
    """
    given = {k: v for k, v in environment.items() if k in VARIABLES and v != ""}
    try:
        settings = Settings(**_SCHEMA.load(given))
        _must_be_safe(settings)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, given))) from None
    if settings.base_url and not urlsplit(settings.base_url).path:
        return dataclasses.replace(settings, base_url=settings.base_url + settings.base_path)
    return settings


def _must_be_safe(settings: Settings) -> None:
    """Refuse what is unsafe in production, or contradicts itself; raises ValidationError."""
    if settings.production and not (settings.base_url or "").startswith("https://"):
        needed = "an https URL in production, such as https://scim.example.com/scim/v2"
        why = "tokens, passwords of Basic and OAuth must not travel unencrypted"
        raise ValidationError(f"must be set to {needed}: {why}", "SCIM_BASE_URL")
    if settings.production and not settings.data_dir.is_absolute():
        needed = "an absolute path in production, such as /var/lib/scim-ledger"
        raise ValidationError(f"must be set to {needed}", "SCIM_DATA_DIR")
    if OAUTH in settings.authentication and f"{settings.base_path}/".startswith(f"/{OAUTH}/"):
        taken = "begins with /oauth, where OAuth has its addresses: take another path, or leave"
        raise ValidationError(f"{taken} oauth out of SCIM_AUTHENTICATION", "SCIM_BASE_PATH")


def _sentences(error: ValidationError, given: Mapping[str, str]) -> list[str]:
    messages: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return [
        f"{variable}={_repeated(variable, given)}: {variable} {text.removesuffix('.')}"
        for variable, texts in messages.items()
        for text in texts
    ]


def _repeated(variable: str, given: Mapping[str, str]) -> str:
    """Return a value as an error may repeat it."""
    value = given.get(variable, "")
    if _DECLARED[variable].metadata["secret"]:
        return "…"
    return value if value.isprintable() else ascii(value)


def described(settings: Settings, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return every setting, its values as its variable takes them; a secret one is not shown."""
    rows = []
    for variable, declared in _DECLARED.items():
        value, about = getattr(settings, declared.name), declared.metadata
        rows.append(
            {
                "setting": variable,
                "value": "(secret)" if value and about["secret"] else _written(value),
                "source": "environment" if environment.get(variable) else "default",
                "default": _written(about["field"].load_default),
                "meaning": about["meaning"],
            }
        )
    return rows


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each SCIM_ variable that is not a setting, with the nearest name."""
    found = []
    for name in sorted(environment):
        if name.startswith("SCIM_") and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            found.append(f"{name} is not a setting{hint}")
    return found
