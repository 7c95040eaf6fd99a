"""Tickets for event streams."""

import strawberry

from domain.stream_tickets import create_ticket
from schema.context import Info, changing
from schema.problems import Payload, refusable
from schema.scalars import DateTime


@strawberry.type(description="What became of asking for a ticket.")
class CreateStreamTicketPayload(Payload):
    """The answer of `createStreamTicket`."""

    ticket: str | None = strawberry.field(
        default=None, description="Good once, as the URL's parameter `ticket` of an event stream. Null when refused."
    )
    expires_at: DateTime | None = strawberry.field(default=None, description="Until when the stream has to begin.")


@strawberry.type
class StreamTicketMutations:
    """For clients that can send no header."""

    @strawberry.mutation(
        description="A ticket that lets one event stream begin: `GET /graphql?query=…&ticket=…`. For EventSource,"
        " which can send no header. The stream ends with your session, and after the time of an access token."
    )
    @refusable(CreateStreamTicketPayload)
    async def create_stream_ticket(self, info: Info) -> CreateStreamTicketPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            made = await create_ticket(tx, context.ports, context.viewer)
        return CreateStreamTicketPayload(ticket=made.text, expires_at=DateTime(made.expires_at))
