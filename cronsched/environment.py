"""Settings from the environment and `.env`. An invalid setting stops the start with one line that names it and the
remedy.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import ssl
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import dj_database_url
from dotenv import dotenv_values
from environs import Env, EnvError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# Variables that other programs read from the same file.
_OF_OTHERS = frozenset({"GITHUB_PORT", "TZ", "DJANGO_SETTINGS_MODULE", "COMPOSE_PROJECT_NAME", "POSTGRES_PASSWORD"})
_SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEYS?$|DSN")


def shown_setting(name: str, value: str) -> str:
    """The value of a setting without secrets: those of secret names, and passwords within URLs."""
    if value and _SECRET.search(name):
        return "(set)"
    return re.sub(r"(?<=//)[^/@]+@", "", value)


class SettingError(Exception):
    """An invalid setting; the message is one line for the operator."""


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\*(?:\.{_LABEL}){{2,}})\.?", re.ASCII)


class Setting(NamedTuple):
    """One setting as it was read: secrets masked, and where it comes from: `environment`, `.env` or `default`."""

    name: str
    value: str
    source: str


class Environment:
    """Typed reads of environment variables; every method raises `SettingError`. An empty value counts as not set.

    `read`: every setting that was read. `writes`: False for commands that only look: they make no folder and no key.
    """

    def __init__(self, dotenv: Path, *, writes: bool = True) -> None:
        before = set(os.environ)
        self._file = dict(dotenv_values(dotenv)) if dotenv.is_file() else {}
        if self._file:
            Env().read_env(str(dotenv), recurse=False)
        self._of_file = set(self._file) - before
        self._env = Env()
        self.writes = writes
        self.read: dict[str, Setting] = {}

    def text(self, name: str, default: str = "") -> str:
        given = os.environ.get(name, "").strip()
        source = "default" if not given else ".env" if name in self._of_file else "environment"
        # A later read of the same name knows no default.
        if given or name not in self.read:
            self.read[name] = Setting(name, shown_setting(name, given or default), source)
        return given or default

    def unknown(self) -> dict[str, str]:
        """The names in `.env` that no setting has, each with the one that is most like it, or ''."""
        odd = [name for name in self._file if name not in self.read and name not in _OF_OTHERS]
        return {name: next(iter(get_close_matches(name, self.read, 1)), "") for name in odd}

    def texts(self, name: str, default: str = "") -> list[str]:
        """A list separated by commas."""
        return [item.strip() for item in self.text(name, default).split(",") if item.strip()]

    def flag(self, name: str, default: bool) -> bool:
        self.text(name, str(default).lower())
        return bool(self._read("bool", name, default, "write true or false"))

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        self.text(name, str(default))
        value = int(self._read("int", name, default, f"write a whole number from {least} to {most}"))
        if not least <= value <= most:
            raise SettingError(f"{name}={value} is out of range; write a whole number from {least} to {most}.")
        return value

    def clamped(self, name: str, default: int, *, least: int, most: int) -> int:
        """An integer, limited to [minimum, maximum]."""
        return min(max(self.number(name, default), least), most)

    def choice(self, name: str, default: str, choices: list[str]) -> str:
        value = self.text(name, default).lower()
        if value not in choices:
            raise SettingError(f"{name}={value} is unknown; write one of {', '.join(choices)}.")
        return value

    def zone(self, name: str, default: str) -> ZoneInfo:
        value = self.text(name, default)
        try:
            return ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise SettingError(f"{name}={value} is not a time zone; write an IANA name such as Asia/Tokyo.") from None

    def url(self, name: str, default: str) -> str:
        value = self.text(name, default)
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(
                f"{name}={value} is not a URL; write one such as {default or 'https://sso.example.com/token'}."
            )
        return value.rstrip("/")

    def secure_url(self, name: str, default: str) -> str:
        """A URL of https; http only on this machine."""
        value = self.url(name, default)
        parts = urlsplit(value)
        if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise SettingError(f"{name}={value} would send secrets unencrypted; write an address with https.")
        return value

    def proxy(self, name: str) -> str:
        """The URL of an HTTP proxy, `http://[user:password@]host:port`; '' if none is set."""
        value = self.text(name)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and parts.path in {"", "/"}
        except ValueError:
            usable = False
        if not usable:
            raise SettingError(f"{name} cannot be used; write http://host:port or http://user:password@host:port.")
        return value.rstrip("/")

    def certificates(self, name: str) -> str:
        """The path of a file of certificate authorities (PEM); '' if none is set."""
        value = self.text(name)
        if not value:
            return ""
        try:
            ssl.create_default_context(cafile=value)
        except (OSError, ssl.SSLError):
            raise SettingError(f"{name}={value} cannot be read; name a file of certificates in PEM format.") from None
        return str(Path(value).expanduser().resolve())

    def origins(self, name: str, default: str = "") -> list[str]:
        """A list of origins (scheme and host); `*` alone means every origin."""
        values = self.texts(name, default)
        for value in values:
            parts = urlsplit(value)
            if value != "*" and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path):
                raise SettingError(f"{name}: '{value}' is not an origin; write one such as https://cron.example.com.")
        return values

    def networks(self, name: str) -> list[Network]:
        """A list of IP addresses and networks."""
        found: list[Network] = []
        for text in self.texts(name):
            try:
                found.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise SettingError(
                    f"{name}: '{text}' is not an address or a network; write some such as 10.0.0.5,172.16.0.0/12."
                ) from None
        return found

    def targets(self, name: str) -> list[str]:
        """A list of IP addresses, networks, host names, and `*.` with a domain of at least two labels."""
        found = self.texts(name)
        for text in found:
            try:
                ipaddress.ip_network(text.strip("[]"), strict=False)
            except ValueError:
                if len(text) > 253 or not _HOST.fullmatch(text) or text.replace(".", "").isdigit():
                    raise SettingError(
                        f"{name}: '{text[:60]}' is no address, network or host name; write some such as "
                        f"10.0.0.0/8,intern.example.com,*.corp.example.com, without scheme and port."
                    ) from None
        return found

    def directory(self, name: str, default: Path) -> Path:
        path = Path(self.text(name, str(default))).expanduser().resolve()
        if not self.writes:
            return path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise SettingError(f"{name}={path} cannot be made ({exc.strerror}); name a folder you may write.") from None
        if path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o077:
            # Some file systems have no modes; the doctor says so.
            with suppress(OSError):
                path.chmod(0o700)
        if not os.access(path, os.W_OK):
            raise SettingError(f"{name}={path} cannot be written; name a folder you may write.")
        return path

    def secret(self, name: str, file: Path) -> str:
        """A secret of at least 32 characters; if it is not set, it is generated once and stored in `file` (mode
        0600).
        """
        value = self.text(name)
        if value and len(value) < 32:
            raise SettingError(f"{name} is too short; write at least 32 random characters, or leave it out to get one.")
        if not value and not self.writes and not file.exists():
            return secrets.token_urlsafe(50)
        return value or kept_secret(file)

    def database(self, name: str, default: Path) -> dict[str, Any]:
        """A Django database from a URL (`sqlite:///path`, `postgresql://user:password@host/name`)."""
        url = self.text(name)
        if not url:
            return sqlite(default)
        return database_of(name, url)

    def _read(self, kind: str, name: str, default: Any, remedy: str) -> Any:
        if not self.text(name):
            return default
        try:
            return getattr(self._env, kind)(name)
        except EnvError:
            raise SettingError(f"{name}={self.text(name)} cannot be read; {remedy}.") from None


def database_of(name: str, url: str) -> dict[str, Any]:
    """The Django database of a URL; `name` is the setting to name in an error. Raises `SettingError`."""
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, KeyError):
        config = {}
    engine = config.get("ENGINE", "")
    if engine.endswith("sqlite3") and config["NAME"] not in {"", ":memory:"}:
        return sqlite(Path(str(config["NAME"])))
    if engine.endswith("postgresql"):
        # The idle timeout bounds how long a suspended process keeps its locks. JIT compilation takes longer than our
        # short queries.
        own = "-c idle_in_transaction_session_timeout=5000 -c jit=off"
        options = {"application_name": "cronsched", **config.get("OPTIONS", {})}
        if str(options.pop("pgbouncer", "")).lower() in {"true", "1"}:
            # PgBouncer in transaction mode: no startup options, no prepared statements, no server-side cursors.
            options["prepare_threshold"] = None
            return {**config, "CONN_HEALTH_CHECKS": True, "DISABLE_SERVER_SIDE_CURSORS": True, "OPTIONS": options}
        # Ours first: a setting of the URL takes precedence.
        options["options"] = f"{own} {options.get('options', '')}".strip()
        return {**config, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
    raise SettingError(
        f"{name} is not a database URL that can be used; write sqlite:////path/to/file or "
        f"postgresql://user:password@host/name."
    )


def sqlite(path: Path) -> dict[str, Any]:
    """SQLite for several processes: write-ahead log, immediate transactions, a busy timeout of 20 s.

    `synchronous=FULL` keeps every committed execution through a power loss. See docs/decisions/sqlite-wal.md.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32000; "
            "PRAGMA wal_autocheckpoint=10000;",
        },
        "TEST": {"NAME": None},
    }


def kept_secret(file: Path, length: int = 50) -> str:
    """The secret in `file`, which is created if needed; concurrent processes get the same one."""
    if not file.exists():
        draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(length))
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text().strip()
