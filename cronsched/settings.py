"""Django settings. Every value that an operator may change comes from the environment: see `.env.example`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import django_stubs_ext

from core.runtime import files, logs, signed_addresses
from core.version import __version__
from cronsched.environment import Environment, SettingError
from cronsched.openapi_texts import INTRODUCTION
from cronsched.theme import UNFOLD  # noqa: F401

# Makes Django's generic classes subscriptable, as in ModelForm[Job].
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
# Commands that only look make nothing.
env = ENVIRONMENT = Environment(BASE_DIR / ".env", writes=sys.argv[1:2] not in (["doctor"], ["settings"], ["logs"]))

# Paths
CRONSCHED_DATA_DIR = env.directory("CRONSCHED_DATA_DIR", BASE_DIR / "var")
DATABASES = {"default": env.database("DATABASE_URL", CRONSCHED_DATA_DIR / "cronsched.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # SQLite gives its -wal and -shm files the mode of the database.
    files.make_private(Path(str(DATABASES["default"]["NAME"]) + suffix) for suffix in ("", "-wal", "-shm"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOG_FILE = CRONSCHED_DATA_DIR / "cronsched.log"

# Secrets
SECRET_KEY = env.secret("SECRET_KEY", CRONSCHED_DATA_DIR / "secret_key")
JWT_SECRET_KEY = env.text("JWT_SECRET_KEY") or SECRET_KEY
if len(JWT_SECRET_KEY) < 32:
    raise SettingError("JWT_SECRET_KEY is too short; write at least 32 random characters, or leave it out.")
# Former secret keys: what they signed or encrypted is still read.
SECRET_KEY_FALLBACKS = env.texts("SECRET_KEY_FALLBACKS")
JWT_SECRET_KEY_FALLBACKS = env.texts("JWT_SECRET_KEY_FALLBACKS") or (
    [key for key in SECRET_KEY_FALLBACKS if len(key) >= 32] if JWT_SECRET_KEY == SECRET_KEY else []
)
if any(len(key) < 32 for key in JWT_SECRET_KEY_FALLBACKS):
    raise SettingError("A key of JWT_SECRET_KEY_FALLBACKS is too short; each has at least 32 characters.")
CRONSCHED_ENCRYPTION_KEYS = env.texts("CRONSCHED_ENCRYPTION_KEYS") or [SECRET_KEY, *SECRET_KEY_FALLBACKS]
if len(CRONSCHED_ENCRYPTION_KEYS[0]) < 32:
    raise SettingError(
        "The first of CRONSCHED_ENCRYPTION_KEYS is too short; put one of at least 32 random characters before it, and "
        "run 'manage.py reencrypt'."
    )
CRONSCHED_ADMIN_USERNAME = env.text("CRONSCHED_ADMIN_USERNAME", "admin")
CRONSCHED_ADMIN_PASSWORD = env.text("CRONSCHED_ADMIN_PASSWORD")
CRONSCHED_ADMIN_EMAIL = env.text("CRONSCHED_ADMIN_EMAIL", "admin@example.com")

# Web
HOST = env.text("HOST", "127.0.0.1")
PORT = env.number("PORT", 5001, least=1, most=65535)
WEB_WORKERS = env.number("WEB_WORKERS", 2, least=1, most=64)
WEB_THREADS = env.number("WEB_THREADS", 8, least=1, most=256)
DEBUG = env.flag("DEBUG", False)
EXPOSE_ERROR_DETAILS = env.flag("EXPOSE_ERROR_DETAILS", False)
ALLOWED_HOSTS = env.texts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
CORS_ORIGINS = env.origins("CORS_ORIGINS", "*")
CORS_ALLOW_ALL_ORIGINS = CORS_ORIGINS == ["*"]
CORS_ALLOWED_ORIGINS = [] if CORS_ALLOW_ALL_ORIGINS else CORS_ORIGINS
CORS_ALLOW_CREDENTIALS = not CORS_ALLOW_ALL_ORIGINS
CORS_EXPOSE_HEADERS = ["ETag", "Retry-After"]
CORS_URLS_REGEX = r"^/api/"
DATA_UPLOAD_MAX_MEMORY_SIZE = env.number("MAX_BODY_BYTES", 5 * 1024 * 1024, least=1024)
MAX_UPLOAD_BYTES = env.number("MAX_UPLOAD_BYTES", 20 * 1024 * 1024, least=1024)
FRONTEND_BASE_URL = env.url("FRONTEND_BASE_URL", "http://localhost:5173")
HTTPS = env.flag("HTTPS", False)
# This installation's own target: jobs may always call it, by exactly this URL.
ECHO_URL = f"http://{'localhost' if HOST in {'0.0.0.0', '::', '127.0.0.1', '::1'} else HOST}:{PORT}/echo"  # noqa: S104
PUBLIC_URL = env.url("PUBLIC_URL", f"http://localhost:{PORT}")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
# Other names below this host are not ours to decide about.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
# Probes inside a cluster ask over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^api/v2/health$", r"^metrics$", r"^echo$"]
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "accounts.auth.web_sessions"
SESSION_COOKIE_AGE = env.number("SESSION_SECONDS", 14 * 24 * 3600, least=60)
SESSION_IDLE_SECONDS = env.number("SESSION_IDLE_SECONDS", 24 * 3600, least=60)
# A message may hold a new API token: it stays on the server.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
X_FRAME_OPTIONS = "DENY"
# Without TLS (the embedded default), warnings about HTTPS-only settings do not apply.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if not HTTPS:
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W012", "security.W016"]

# Scheduler
SCHEDULER_ENABLED = env.flag("SCHEDULER_ENABLED", True)
SCHEDULER_ZONE = env.zone("SCHEDULER_TIMEZONE", "Asia/Tokyo")
SCHEDULER_POLL_SECONDS = env.clamped("SCHEDULER_POLL_SECONDS", 60, least=10, most=300)
SCHEDULER_LOCK_PATH = Path(env.text("SCHEDULER_LOCK_PATH", str(CRONSCHED_DATA_DIR / "scheduler.lock")))

LEADER_LOCK = env.choice(
    "LEADER_LOCK", "file" if DATABASES["default"]["ENGINE"].endswith("sqlite3") else "lease", ["file", "lease"]
)

# local: the scheduler delivers. celery: workers deliver, on any host.
EXECUTION_BACKEND = env.choice("EXECUTION_BACKEND", "local", ["local", "celery"])
BROKER_URL = env.text("BROKER_URL", "redis://127.0.0.1:6379/0")
WORKERS = env.number("WORKERS", 1, most=64)
WORKER_QUEUES = env.texts("WORKER_QUEUES", "webhook,github_actions")

# The port of the demo's target; without it the target is not started.
DEMO_ECHO_PORT = env.number("DEMO_ECHO_PORT", 0, most=65535)

# Delivery
CRONSCHED_ALLOWED_TARGETS = env.targets("CRONSCHED_ALLOWED_TARGETS")
# Outbound connections: see core.runtime.outbound.
OUTBOUND_CA_FILE = env.certificates("OUTBOUND_CA_FILE")
OUTBOUND_PROXY = env.proxy("OUTBOUND_PROXY")
NO_PROXY = env.texts("NO_PROXY")
GITHUB_TOKEN = env.text("GITHUB_TOKEN")
DEFAULT_GITHUB_OWNER = env.text("DEFAULT_GITHUB_OWNER")
GITHUB_API_URL = env.url("GITHUB_API_URL", "https://api.github.com")
WEBHOOK_TIMEOUT_SECONDS = 10
ENGINE_CONCURRENCY = env.number("ENGINE_CONCURRENCY", 2000, least=1, most=100_000)
ENGINE_CONCURRENCY_PER_HOST = env.number("ENGINE_CONCURRENCY_PER_HOST", 500, least=1, most=100_000)
ENGINE_DRAIN_SECONDS = env.number("ENGINE_DRAIN_SECONDS", 15, most=3600)

# History: how long executions are kept, and how many of each job and outcome; 0 keeps all
EXECUTIONS_KEPT_DAYS = env.number("EXECUTIONS_KEPT_DAYS", 400)
EXCHANGES_KEPT_DAYS = env.number("EXCHANGES_KEPT_DAYS", 30)
EXECUTIONS_KEPT_SUCCESS = env.number("EXECUTIONS_KEPT_SUCCESS", 0)
EXECUTIONS_KEPT_FAILED = env.number("EXECUTIONS_KEPT_FAILED", 0)
EXECUTIONS_KEPT_UNRUN = env.number("EXECUTIONS_KEPT_UNRUN", 0)

# Mail
MAIL_ENABLED = env.flag("MAIL_ENABLED", False)
EMAIL_HOST = env.text("MAIL_SERVER", "localhost")
EMAIL_PORT = env.number("MAIL_PORT", 587, least=1, most=65535)
EMAIL_USE_TLS = env.flag("MAIL_USE_TLS", True)
EMAIL_HOST_USER = env.text("MAIL_USERNAME")
EMAIL_HOST_PASSWORD = env.text("MAIL_PASSWORD")
EMAIL_TIMEOUT = 10
MAIL_ALLOWED_DOMAINS = [domain.lower().lstrip("@") for domain in env.texts("MAIL_ALLOWED_DOMAINS")]
DEFAULT_FROM_EMAIL = env.text("MAIL_DEFAULT_SENDER", "cronsched@localhost")

# Notifications
NOTIFY_ON_SUCCESS = env.choice("NOTIFY_ON_SUCCESS", "all", ["all", "manual", "none"])
NOTIFICATION_LANGUAGE = env.choice("NOTIFICATION_LANGUAGE", "en", ["en", "ja"])
AUDIT_KEPT_DAYS = env.number("AUDIT_KEPT_DAYS", 730)
NOTIFICATIONS_KEPT_DAYS = env.number("NOTIFICATIONS_KEPT_DAYS", 90, least=1)

# Accounts
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"
LOGOUT_REDIRECT_URL = "admin:login"
AUTHENTICATION_BACKENDS = ["accounts.auth.backends.IdentityBackend"]
# The admin's second factor: off, optional (each user decides) or required
SECOND_FACTOR = env.choice("SECOND_FACTOR", "optional", ["off", "optional", "required"])
OTP_TOTP_ISSUER = "Cronsched"
# The login throttle counts codes: the library's own delay, which no limit ends, would lock the owner out.
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0
# Single sign-on by OpenID Connect, enabled by a client id
OIDC_RP_CLIENT_ID = env.text("OIDC_CLIENT_ID")
if OIDC_RP_CLIENT_ID:
    AUTHENTICATION_BACKENDS.append("accounts.auth.oidc.SingleSignOn")
    OIDC_OP_AUTHORIZATION_ENDPOINT = env.secure_url("OIDC_AUTHORIZATION_URL", "")
    OIDC_OP_TOKEN_ENDPOINT = env.secure_url("OIDC_TOKEN_URL", "")
    OIDC_OP_USER_ENDPOINT = env.secure_url("OIDC_USER_URL", "")
    OIDC_OP_JWKS_ENDPOINT = env.secure_url("OIDC_KEYS_URL", "")
    # Without it, the issuer must be on the host of the authorization URL.
    OIDC_ISSUER = env.text("OIDC_ISSUER")
OIDC_RP_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET")
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_RP_SCOPES = "openid email profile"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 15
OIDC_ROLE = env.choice("OIDC_ROLE", "", ["", "viewer", "user", "admin"])
LOGIN_REDIRECT_URL_FAILURE = "/admin/login/"
PASSWORD_MIN_LENGTH = env.number("PASSWORD_MIN_LENGTH", 8, least=8, most=128)
PASSWORD_MAX_LENGTH = 128
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "accounts.auth.passwords.LengthValidator"},
    {"NAME": _VALIDATION + "UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ["username", "email"]}},
    {"NAME": _VALIDATION + "CommonPasswordValidator"},
    {"NAME": _VALIDATION + "NumericPasswordValidator"},
]
JWT_ACCESS_TOKEN_EXPIRES = env.number("JWT_ACCESS_TOKEN_EXPIRES", 3600, least=1)
JWT_REFRESH_TOKEN_EXPIRES = env.number("JWT_REFRESH_TOKEN_EXPIRES", 2592000, least=1)
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SECRET_KEY,
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=JWT_ACCESS_TOKEN_EXPIRES),
    "REFRESH_TOKEN_LIFETIME": timedelta(seconds=JWT_REFRESH_TOKEN_EXPIRES),
    "TOKEN_TYPE_CLAIM": "type",
    "USER_ID_CLAIM": "sub",
    # Clocks of several hosts differ a little.
    "LEEWAY": 2,
}
REAUTHENTICATE_AFTER_SECONDS = env.number("REAUTHENTICATE_AFTER_SECONDS", 900)
LOGIN_FAILURES_ALLOWED = env.number("LOGIN_FAILURES_ALLOWED", 10, least=1)
LOGIN_FAILURE_WINDOW_SECONDS = env.number("LOGIN_FAILURE_WINDOW_SECONDS", 300, least=1)

# Django
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "cronsched.apps.AdminConfig",
    "csp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_apscheduler",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "mozilla_django_oidc",
    "audit",
    "accounts",
    "taxonomy",
    "settings_app",
    "calendars",
    "jobs",
    "windows",
    "executions",
    "moving",
    "notifications",
    "scheduler",
    "console",
    "cronsched",
    *(["demo"] if (BASE_DIR / "demo").is_dir() else []),
]
MIDDLEWARE = [
    "cronsched.middleware.ClientAddress",
    "cronsched.middleware.Probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "cronsched.middleware.ApiGuard",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "settings_app.web_language.AccountLanguage",
    "accounts.second_factor.middleware.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "cronsched.middleware.ButtonPage",
]
ROOT_URLCONF = "cronsched.urls"
WSGI_APPLICATION = "cronsched.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ja", "日本語")]
LOCALE_PATHS = [BASE_DIR / "cronsched" / "locale"]
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["cronsched.formats"]
TIME_ZONE = str(SCHEDULER_ZONE)
APSCHEDULER_DATETIME_FORMAT = "Y-m-d H:i:s"

# Pages contain no inline script and no inline style; only style attributes that the theme sets at run time are allowed.

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/docs", "/redoc"],
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.auth.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["core.api.json.JsonObjectParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.json.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.json.JsonOnly",
    "DEFAULT_SCHEMA_CLASS": "core.api.openapi.OperationNames",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "cronsched.errors.handle",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": [
        "core.api.json.JsonRenderer",
        "rest_framework.renderers.MultiPartRenderer",
    ],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Cronsched API",
    "DESCRIPTION": INTRODUCTION,
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v2",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # A token must not stay in the browser when the page is left.
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False},
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cronsched.openapi_texts.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "accounts.models.Role",
        "ExecutionStatusEnum": "executions.models.Status",
        "ReportStatusEnum": "executions.models.Report.State",
        "WebhookCredentialKindEnum": "settings_app.models.WebhookCredential.Kind",
    },
}

LOGGING = logs.configuration(
    env.choice("LOG_FORMAT", "human", ["human", "json"]),
    env.text("LOG_LEVEL", "INFO").upper(),
    # `serve` lets its processes write into one file as well.
    env.text("CRONSCHED_LOG_FILE"),
)

# HTTP security
METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_PUBLIC = env.flag("METRICS_PUBLIC", False)
OTEL_EXPORTER_OTLP_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT")
SENTRY_DSN = env.text("SENTRY_DSN")
if SENTRY_DSN:
    import sentry_sdk

    # Local variables and bodies contain tokens.
    sentry_sdk.init(
        dsn=SENTRY_DSN,
        release=__version__,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=signed_addresses.scrubbed,
        before_send_transaction=signed_addresses.scrubbed,
    )
