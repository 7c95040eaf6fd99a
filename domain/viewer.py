"""Who is asking. Made once per request at the edge, and handed to every verb."""

from dataclasses import dataclass
from uuid import UUID

from db.models import UserRole
from domain.errors import NotSignedIn


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, or nobody: then `user_id` is None. `session_id` is the session that the request comes by."""

    user_id: UUID | None = None
    role: UserRole = UserRole.USER
    session_id: UUID | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the viewer administers the service: people and numbers, not other people's files."""
        return self.role is UserRole.ADMIN

    def required(self) -> UUID:
        """The viewer's user id. Raises NotSignedIn."""
        if self.user_id is None:
            raise NotSignedIn
        return self.user_id


NOBODY = Viewer()
