"""The Node interface: what has an id of its own."""

import strawberry


@strawberry.interface(description="Something with an id, that `node` finds again.")
class Node:
    """Relay's Node."""

    id: strawberry.ID = strawberry.field(description="Opaque, unique over all types, and never reused.")
