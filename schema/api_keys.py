"""Making, changing, rotating and revoking API keys."""

from typing import Annotated
from uuid import UUID

import strawberry

from db.engine import Rows, Transaction
from db.rows import ApiKeyRow
from domain import api_keys
from domain.api_keys import Ending, Issued, KeyChange, Rotation
from domain.idempotency import asked_by
from domain.key_terms import KeyTerms
from schema.api_key_connections import ApiKey, api_key_of
from schema.context import Info, changing
from schema.idempotency import IDEMPOTENCY_KEY, made_once
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable
from schema.scalars import DateTime

GRACE_SECONDS = 24 * 60 * 60
SCOPES = (
    "What the key is allowed, of what you may do: `files:read` (find, list and download files, and see workspaces and "
    "who is in them), `files:write` (upload, rename and purge files), `account:read` (see your account), "
    "`account:write` (change your profile, workspaces and who is in them), `analytics:read` (see figures), `admin` "
    "(manage people, as administrators do)."
)
ADDRESSES = "The ranges of network addresses that the key is good from, such as `192.0.2.0/24` or `2001:db8::/32`."


@strawberry.input(description="A new API key.")
class CreateApiKeyInput:
    """See `domain.key_terms.KeyTerms`."""

    name: str = strawberry.field(description="What it is for, in up to 100 characters.")
    scopes: list[str] = strawberry.field(description=SCOPES)
    expires_at: DateTime | None = strawberry.field(default=None, description="When it ends; never by default.")
    addresses: list[str] | None = strawberry.field(default=None, description=f"{ADDRESSES} From anywhere by default.")
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=f"{IDEMPOTENCY_KEY} Its secret is told only once: without the first answer, rotate or revoke it.",
    )


@strawberry.input(description="Other terms for an API key. What is left out stays as it is.")
class UpdateApiKeyInput:
    """See `domain.api_keys.KeyChange`."""

    id: strawberry.ID = strawberry.field(description="The key.")
    name: str | None = strawberry.field(default=None, description="What it is for, in up to 100 characters.")
    scopes: list[str] | None = strawberry.field(default=None, description=SCOPES)
    expires_at: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="When it ends; null: never. Left out: as before."
    )
    addresses: list[str] | None = strawberry.field(default=None, description=f"{ADDRESSES} Empty: from anywhere.")


@strawberry.input(description="An API key that is to have a new secret.")
class RotateApiKeyInput:
    """See `domain.api_keys.Rotation`."""

    id: strawberry.ID = strawberry.field(description="The key.")
    grace_seconds: int = strawberry.field(
        default=GRACE_SECONDS,
        description="How long the former secret is good beside the new one, up to 30 days; 0 ends all former ones now.",
    )


@strawberry.input(description="An API key to end.")
class RevokeApiKeyInput:
    """One of the viewer's."""

    id: strawberry.ID = strawberry.field(description="The key.")


@strawberry.type
class _IssuedPayload(Payload):
    """What everything that gives out a secret answers alike."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key; null when refused.")
    secret: str | None = strawberry.field(
        default=None,
        description="Send it as `Authorization: Bearer …` or `X-API-Key: …`. It is told only here, and only once: null "
        "when refused, and when a request is repeated under its idempotency key.",
    )


@strawberry.type(description="What became of a new API key.")
class CreateApiKeyPayload(_IssuedPayload):
    """The answer of `createApiKey`."""


@strawberry.type(description="What became of changing an API key.")
class UpdateApiKeyPayload(Payload):
    """The answer of `updateApiKey`."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key as it is now; null when refused.")


@strawberry.type(description="What became of rotating an API key.")
class RotateApiKeyPayload(_IssuedPayload):
    """The answer of `rotateApiKey`."""

    former_secret_expires_at: DateTime | None = strawberry.field(
        default=None, description="Until when the former secret is good; null when refused."
    )

    @classmethod
    def of(cls, issued: Issued) -> "RotateApiKeyPayload":
        """An answer with the new secret."""
        ends_at = issued.former_ends_at
        return cls(
            api_key=api_key_of(issued.row),
            secret=issued.secret,
            former_secret_expires_at=DateTime(ends_at) if ends_at else None,
        )


@strawberry.type(description="What became of ending an API key.")
class RevokeApiKeyPayload(Payload):
    """The answer of `revokeApiKey`."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key as it was; null when refused.")


@strawberry.type
class ApiKeyMutations:
    """What no API key may do itself."""

    @strawberry.mutation(description="Make an API key, for a program that asks in your name. Not with an API key.")
    @refusable(CreateApiKeyPayload)
    async def create_api_key(
        self, info: Info, input: Annotated[CreateApiKeyInput, strawberry.argument(description="The key.")]
    ) -> CreateApiKeyPayload:
        """One verb, one transaction."""
        context, viewer = info.context, info.context.viewer
        terms = KeyTerms(input.name, input.scopes, input.expires_at, input.addresses or ())

        async def make(tx: Transaction) -> Issued | ApiKeyRow:
            return await api_keys.create_api_key(tx, context.ports, viewer, terms, context.request)

        async def again(rows: Rows, api_key_id: UUID) -> ApiKeyRow | None:
            return await api_keys.own(rows, viewer, api_key_id)

        said = terms.name, terms.scopes, terms.expires_at, terms.addresses
        asked = asked_by(viewer.in_person(), input.idempotency_key, "createApiKey", *said)
        made = await made_once(context, asked, make, again)
        if isinstance(made, Issued):
            return CreateApiKeyPayload(api_key=api_key_of(made.row), secret=made.secret)
        return CreateApiKeyPayload(api_key=api_key_of(made))

    @strawberry.mutation(description="Change what one of your API keys is good for, at once. Not with an API key.")
    @refusable(UpdateApiKeyPayload)
    async def update_api_key(
        self, info: Info, input: Annotated[UpdateApiKeyInput, strawberry.argument(description="The key, changed.")]
    ) -> UpdateApiKeyPayload:
        """One verb, one transaction."""
        context = info.context
        change = _change(input)
        async with changing(context) as tx:
            row = await api_keys.update_api_key(tx, context.ports, context.viewer, change, context.request)
        return UpdateApiKeyPayload(api_key=api_key_of(row))

    @strawberry.mutation(
        description="Give one of your API keys a new secret; the former one is good for a while. Not with an API key."
    )
    @refusable(RotateApiKeyPayload)
    async def rotate_api_key(
        self, info: Info, input: Annotated[RotateApiKeyInput, strawberry.argument(description="The key.")]
    ) -> RotateApiKeyPayload:
        """One verb, one transaction."""
        context = info.context
        rotation = Rotation(decode(Prefix.API_KEY, input.id), input.grace_seconds)
        async with changing(context) as tx:
            issued = await api_keys.rotate_api_key(tx, context.ports, context.viewer, rotation, context.request)
        return RotateApiKeyPayload.of(issued)

    @strawberry.mutation(description="End one of your API keys for good, at once. Not with an API key.")
    @refusable(RevokeApiKeyPayload)
    async def revoke_api_key(
        self, info: Info, input: Annotated[RevokeApiKeyInput, strawberry.argument(description="The key.")]
    ) -> RevokeApiKeyPayload:
        """One verb, one transaction."""
        context = info.context
        api_key_id = decode(Prefix.API_KEY, input.id)
        async with changing(context) as tx:
            row = await api_keys.revoke_api_key(tx, context.ports, context.viewer, api_key_id, context.request)
        return RevokeApiKeyPayload(api_key=api_key_of(row))


def _change(given: UpdateApiKeyInput) -> KeyChange:
    return KeyChange(
        api_key_id=decode(Prefix.API_KEY, given.id),
        name=given.name,
        scopes=given.scopes,
        ending=None if given.expires_at is strawberry.UNSET else Ending(given.expires_at),
        addresses=given.addresses,
    )
