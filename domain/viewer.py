"""Who is asking. Made once per request at the edge, and handed to every verb."""

from dataclasses import dataclass
from uuid import UUID

from db.models import UserRole
from domain.errors import AdministratorsOnly, NotSignedIn


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

    def sees_account_of(self, user_id: UUID) -> bool:
        """Whether the viewer may see what only the person and administrators see of a user."""
        return self.is_admin or self.user_id == user_id

    def administering(self) -> UUID:
        """The user id of a viewer who administers the service. Raises NotSignedIn and AdministratorsOnly."""
        user_id = self.required()
        if not self.is_admin:
            raise AdministratorsOnly
        return user_id


NOBODY = Viewer()
