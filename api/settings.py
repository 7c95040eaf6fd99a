"""What an operator can decide, with the defaults, and nothing about where the values come from.

`api.variables` reads the environment and reports every problem at once; everything else is handed plain values.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from api.formats import (
    database_url,
    extensions,
    mail_sender,
    networks,
    origins,
    public_url,
    rate,
    redis_url,
    size_in_bytes,
    smtp_server,
)
from db.rates import Rate

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60
MINIMUM_SECRET_BYTES = 32
MINIMUM_TOKEN_CHARACTERS = 16
MAXIMUM_PORT = 65535
ALLOWED_EXTENSIONS = (
    "pdf,doc,docx,xls,xlsx,ppt,pptx,txt,csv,json,xml,md,jpg,jpeg,png,gif,bmp,webp,mp4,avi,mov,wmv,mp3,wav,ogg,"
    "zip,rar,7z,tar,gz"
)
BLOCKED_EXTENSIONS = "exe,bat,cmd,sh,ps1,msi,app,deb,rpm,jar,vbs,js,wsf,scr,com,pif"

Bytes = Annotated[int, BeforeValidator(size_in_bytes), Field(ge=0)]
PartBytes = Annotated[int, BeforeValidator(size_in_bytes), Field(ge=1)]
Extensions = Annotated[frozenset[str], BeforeValidator(extensions)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(networks)]
Origins = Annotated[tuple[str, ...], BeforeValidator(origins)]
PerTime = Annotated[Rate, BeforeValidator(rate)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _default_database(data: dict[str, Any]) -> str:
    return f"sqlite+aiosqlite:///{data['data_folder'] / 'cairn.db'}"


def _default_host(data: dict[str, Any]) -> str:
    return "0.0.0.0" if data["environment"] == "production" else "127.0.0.1"  # noqa: S104 - a container's only door


def _default_request(data: dict[str, Any]) -> int:
    return 4 * int(data["maximum_file_bytes"])


def secrets_in(text: str) -> list[str]:
    """The secrets of a list that is separated by commas."""
    return [secret for piece in text.split(",") if (secret := piece.strip())]


def local_url(host: str, port: int) -> str:
    """The URL under which a browser on this machine reaches what listens on `host` and `port`."""
    name = "localhost" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class Settings(BaseSettings):
    """Every setting. `CAIRN_` and the field's name in capitals is its variable."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, use_attribute_docstrings=False
    )

    environment: Literal["development", "production"] = Field(
        "development", description="Where this runs. In production a secret and a public URL are required."
    )
    data_folder: Path = Field(
        Path(".data"), description="Where uploaded bytes, the embedded database and a development secret are kept."
    )
    database_url: str = Field(
        default_factory=_default_database,
        repr=False,
        description="The database: `postgresql://…`, or `sqlite:///…` (default: a file in the data folder).",
    )
    database_pool_size: Count = Field(
        20, description="Connections to PostgreSQL at most, in each process, which has one more to hear news by."
    )
    redis_url: str | None = Field(
        None, repr=False, description="A Redis to be faster with: `redis://…`. Nothing depends on it."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="What keys are derived from: 32 random bytes or more. In development one is made and kept. To "
        "change it, put the new one before the old ones, separated by commas: the first signs, and all verify.",
    )
    signing_key: SecretStr | None = Field(
        None,
        description="An Ed25519 private key in PEM that access tokens are signed with, so that others can verify them "
        "by `/.well-known/jwks.json`. Of several, one after the other, the first signs.",
    )
    signing_key_file: Path | None = Field(None, description="A file with what could stand in CAIRN_SIGNING_KEY.")
    host: str = Field(
        default_factory=_default_host,
        description="The address to listen on (default: 127.0.0.1 in development, 0.0.0.0 in production).",
    )
    port: int = Field(8000, ge=0, le=MAXIMUM_PORT, description="The port to listen on; 0 takes any free one.")
    processes: Count = Field(
        1, description="Processes that serve the port together; one per processor is right. Several need PostgreSQL."
    )
    public_url: str = Field(
        "", description="The URL under which clients reach the service; every URL that is handed out begins with it."
    )
    trusted_proxies: Networks = Field(
        (), description="Addresses or networks of proxies whose `X-Forwarded-For` is believed, separated by commas."
    )
    cors_origins: Origins = Field(
        (), description="Origins of web pages that may call the API from a browser, separated by commas; `*` for any."
    )

    smtp_url: str | None = Field(
        None,
        repr=False,
        description="The server that takes mail: `smtp://user:password@host:587` with STARTTLS (none with "
        "`?starttls=never`), or `smtps://…`. Without one, mail is logged in development, and dropped in production.",
    )
    mail_from: str = Field("", description="Who mails are from: `files@example.org`, or `Cairn <files@example.org>`.")
    smtp_timeout_seconds: Seconds = Field(30, description="How long the mail server may take to answer.")
    worker: bool = Field(
        default=True, description="Whether `serve` also does jobs, such as sending mail; `work` does nothing else."
    )

    access_token_seconds: Count = Field(900, description="How long an access token is good for.")
    refresh_token_seconds: Count = Field(
        30 * DAY, description="How long a session lasts that is not refreshed; each refresh begins it anew."
    )
    session_seconds: Count = Field(365 * DAY, description="How long a session lasts at most, however often refreshed.")
    invitation_seconds: Count = Field(7 * DAY, description="How long an invitation to a workspace can be accepted.")
    maximum_api_keys: Count = Field(50, description="API keys that a user may have at most.")
    verify_email_seconds: Count = Field(3 * DAY, description="How long the mail that verifies an email is good for.")
    reset_password_seconds: Count = Field(1 * HOUR, description="How long a mail that resets a password is good for.")
    confirm_email_seconds: Count = Field(1 * DAY, description="How long the mail that changes an email is good for.")
    hashing_threads: int = Field(0, ge=0, description="Threads that hash passwords; 0 is one per processor.")
    hashing_queue: Count = Field(
        128, description="Passwords that may wait to be hashed before logins are put off; half of it for one address."
    )

    rate_limits: bool = Field(default=True, description="Whether the rates that follow are limits.")
    requests_per_address: PerTime = Field(Rate(12_000, MINUTE), description="Requests from one address.")
    requests_per_user: PerTime = Field(Rate(6_000, MINUTE), description="Requests of one user.")
    requests_per_key: PerTime = Field(
        Rate(3_000, MINUTE),
        description="Requests by one API key, so that one program leaves room for its owner's others.",
    )
    cost_per_address: PerTime = Field(
        Rate(500_000, MINUTE), description="What the operations of people who are not signed in cost, per address."
    )
    cost_per_user: PerTime = Field(Rate(1_000_000, MINUTE), description="What the operations of one user cost.")
    uploaded_bytes_per_user: PerTime = Field(Rate(1 * TIB, DAY), description="Bytes that one user uploads.")
    logins_per_address: PerTime = Field(
        Rate(100, HOUR), description="Failed logins from one address; after so many, delays that grow."
    )
    logins_per_account: PerTime = Field(
        Rate(10, HOUR), description="Failed logins to one account; after so many, delays that grow."
    )
    signups_per_address: PerTime = Field(Rate(300, HOUR), description="Attempts to sign up from one address.")
    mails_per_address: PerTime = Field(Rate(30, HOUR), description="Mails that one address asks for.")
    mails_per_account: PerTime = Field(Rate(5, HOUR), description="Mails that are sent to one account on demand.")

    maximum_file_bytes: Bytes = Field(5 * GIB, description="The largest file.")
    maximum_request_bytes: Bytes = Field(
        default_factory=_default_request, description="The largest request (default: four of the largest files)."
    )
    workspace_quota_bytes: Bytes = Field(
        0, description="What a workspace may hold, all versions counted, unless it is given another limit; 0 is none."
    )
    user_quota_bytes: Bytes = Field(
        0, description="What one user may bring, to whatever workspaces, unless given another limit; 0 is none."
    )
    maximum_files: Count = Field(20, description="Files in one request at most.")
    upload_seconds: Count = Field(
        1 * DAY, description="How long an upload of several requests lasts after its last byte before it expires."
    )
    upload_memory_seconds: Count = Field(7 * DAY, description="How long it can be asked what became of an upload.")
    maximum_open_uploads: Count = Field(1_000, description="Uploads of one user that may be under way at a time.")
    maximum_streams: Count = Field(
        50, description="Event streams and WebSockets that one user may have open at a time, in each process."
    )
    maximum_subscriptions: Count = Field(100, description="Operations that may be under way on one WebSocket.")
    part_bytes: PartBytes = Field(
        16 * MIB, description="The parts of an upload in parts, larger where there would be more than 10,000 of them."
    )
    verified_at_once_bytes: Bytes = Field(
        256 * MIB, description="What is larger, and has to be read again, is verified by a job after the answer."
    )
    maximum_operations_bytes: Bytes = Field(
        1 * MIB, description="The largest GraphQL request without its files: a JSON body, or the `operations` part."
    )
    maximum_map_bytes: Bytes = Field(64 * KIB, description="The largest `map` part of a multipart request.")
    allowed_extensions: Extensions = Field(
        extensions(ALLOWED_EXTENSIONS), description="Extensions of names that may be uploaded, separated by commas."
    )
    blocked_extensions: Extensions = Field(
        extensions(BLOCKED_EXTENSIONS), description="Extensions that never may, wherever they stand in the name."
    )
    stall_seconds: Seconds = Field(30, description="A sender from whom nothing comes for so long is cut off.")
    discard_seconds: Seconds = Field(
        2, description="How long a refused sender's bytes are discarded, so that it can read the answer."
    )
    discard_bytes: Bytes = Field(64 * MIB, description="How many of a refused sender's bytes are discarded at most.")
    disk_floor_bytes: Bytes = Field(
        256 * MIB, description="Free room on the disk below which uploads are refused and health is not ready."
    )
    lease_seconds: Seconds = Field(
        300, description="How long bytes of a process that gave no sign of life are kept before they are cleaned up."
    )
    event_days: int = Field(
        0,
        ge=0,
        description="How many days back the audit log goes; 0 is for ever. What analytics counted of it stays.",
    )
    analytics_cache_seconds: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How old what analytics tells may be; its `asOf` says how old it is. 0 keeps nothing.",
    )

    orphan_seconds: Count = Field(
        7 * DAY,
        description="How long bytes that no record names are kept after they were found.",
    )
    upload_event_seconds: Count = Field(
        90 * DAY, description="How long the audit log tells how uploads went; what became of files it tells longer."
    )
    scrub_bytes_per_second: Bytes = Field(
        1 * MIB, description="How fast the bytes of files are read again to find what the disk changed; 0 is never."
    )
    scrub_seconds: Count = Field(7 * DAY, description="How long after that the bytes of a file are read once more.")

    query_bytes: Bytes = Field(64 * KIB, description="The longest GraphQL document.")
    query_tokens: Count = Field(2000, description="Tokens in a GraphQL document at most.")
    query_depth: Count = Field(12, description="How deep fields may be nested.")
    query_aliases: Count = Field(30, description="Aliases in an operation at most.")
    query_fields: Count = Field(500, description="Fields in an operation at most, fragments expanded.")
    query_directives: Count = Field(50, description="Directives in an operation at most, fragments expanded.")
    query_cost: Count = Field(10_000, description="What an operation may cost; a list costs its page times its fields.")
    introspection: bool = Field(default=True, description="Whether the API describes itself to whoever asks.")
    graphiql: bool = Field(default=True, description="Whether browsers get GraphiQL at `/graphql`.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="For people (`console`) or programs (`json`); `auto` asks whether this is a terminal."
    )
    memory_tuning: bool = Field(
        default=True, description="Whether glibc's allocator is told to keep memory: three times faster uploads."
    )
    metrics_token: SecretStr | None = Field(
        None, description="What Prometheus sends as `Authorization: Bearer …` to be answered at `/metrics`."
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=MAXIMUM_PORT,
        description="A port of its own for `/metrics`, which is served nowhere else then. Several processes have one "
        "each: this and those after it.",
    )
    metrics_host: str = Field("127.0.0.1", description="The address that CAIRN_METRICS_PORT is listened to on.")
    shutdown_seconds: Count = Field(30, description="How long requests in flight may go on when the service stops.")

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic's hook: api.variables reads the environment
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("database_url", mode="before")
    @classmethod
    def _database(cls, value: object) -> str:
        return database_url(str(value))

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis(cls, value: str | None) -> str | None:
        return None if value is None else redis_url(value)

    @field_validator("smtp_url", mode="after")
    @classmethod
    def _smtp(cls, value: str | None) -> str | None:
        if value is not None:
            smtp_server(value)
        return value

    @field_validator("mail_from", mode="after")
    @classmethod
    def _sender(cls, value: str, info: ValidationInfo) -> str:
        if value:
            mail_sender(value)
        elif info.data.get("smtp_url"):
            raise ValueError("is needed with CAIRN_SMTP_URL: the address that mails are from")
        return value

    @field_validator("secret_key", mode="after")
    @classmethod
    def _secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value or info.data.get("environment") == "production":
            given = secrets_in(value.get_secret_value()) if value else []
            length = min((len(secret.encode()) for secret in given), default=0)
            if length < MINIMUM_SECRET_BYTES:
                named = "holds a secret that is too short" if len(given) > 1 else "is too short"
                raise ValueError(
                    f"{named if length else 'is needed in production'}: at least {MINIMUM_SECRET_BYTES} "
                    "random bytes, for instance from: openssl rand -base64 48"
                )
        return value

    @field_validator("signing_key_file", mode="after")
    @classmethod
    def _signing(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value and info.data.get("signing_key"):
            raise ValueError("cannot be set beside CAIRN_SIGNING_KEY")
        return value

    @field_validator("public_url", mode="after")
    @classmethod
    def _public(cls, value: str, info: ValidationInfo) -> str:
        if value:
            return public_url(value)
        if info.data.get("environment") == "production":
            raise ValueError("is needed in production: the URL under which clients reach the service")
        return local_url(info.data["host"], info.data["port"]) if {"host", "port"} <= info.data.keys() else value

    @field_validator("processes", mode="after")
    @classmethod
    def _processes(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("database_url", "").startswith("sqlite"):
            raise ValueError("several processes need PostgreSQL: set DATABASE_URL")
        return value

    @field_validator("metrics_token", mode="after")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else None
        if text is not None and not (len(text) >= MINIMUM_TOKEN_CHARACTERS and text.isascii() and text.isprintable()):
            raise ValueError(f"is no token: at least {MINIMUM_TOKEN_CHARACTERS} characters of ASCII")
        return value

    @field_validator("metrics_port", mode="after")
    @classmethod
    def _metrics_port(cls, value: int | None, info: ValidationInfo) -> int | None:
        processes = info.data.get("processes", 1)
        if value is None:
            if processes > 1 and info.data.get("metrics_token"):
                raise ValueError("is needed where several processes have metrics: each is read by itself")
            return value
        if info.data.get("port") in range(value, value + processes):
            raise ValueError("must be another port than CAIRN_PORT, for every process")
        if value + processes - 1 > MAXIMUM_PORT:
            raise ValueError("leaves no ports for the other processes, which take the ones after it")
        return value

    @field_validator("maximum_request_bytes", mode="after")
    @classmethod
    def _request(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("maximum_file_bytes", 0):
            raise ValueError("must not be below CAIRN_MAXIMUM_FILE_BYTES")
        return value
