"""Who is asking. Made once per request at the edge, and handed to every verb."""

from dataclasses import dataclass
from uuid import UUID

from db.models import UserRole
from domain.errors import AdministratorsOnly, NotForKeys, NotSignedIn, ScopeMissing
from domain.scopes import Scope


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, or nobody: then `user_id` is None. `session_id` is the session that the request comes by.

    Programs come by an API key instead: then `api_key_id` is set, and `scopes` are all that the key is allowed; None,
    for people, is no bound. Verbs get the user's id by naming the scope that they ask for.
    """

    user_id: UUID | None = None
    role: UserRole = UserRole.USER
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    scopes: frozenset[Scope] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the viewer administers the service: people and numbers, not other people's files."""
        return self.role is UserRole.ADMIN and self.may(Scope.ADMIN)

    def may(self, scope: Scope) -> bool:
        """Whether what the viewer comes by is allowed this much. Whether its user is, is another question."""
        return self.scopes is None or scope in self.scopes

    def known(self, scope: Scope) -> UUID | None:
        """The viewer's user id, None for nobody. Raises ScopeMissing."""
        if not self.may(scope):
            raise ScopeMissing.of(scope)
        return self.user_id

    def required(self, scope: Scope) -> UUID:
        """The viewer's user id. Raises NotSignedIn and ScopeMissing."""
        user_id = self.known(scope)
        if user_id is None:
            raise NotSignedIn
        return user_id

    def in_person(self) -> UUID:
        """The user id of a viewer who has signed in, for what no key may do. Raises NotSignedIn and NotForKeys."""
        self.refuse_keys()
        if self.user_id is None:
            raise NotSignedIn
        return self.user_id

    def refuse_keys(self) -> None:
        """Raise NotForKeys when the viewer comes by an API key, whatever its scopes."""
        if self.api_key_id is not None or self.scopes is not None:
            raise NotForKeys

    def sees_account_of(self, user_id: UUID) -> bool:
        """Whether the viewer may see what only the person and administrators see of a user."""
        return self.is_admin or (self.user_id == user_id and self.may(Scope.ACCOUNT_READ))

    def seeing_accounts(self) -> UUID:
        """The user id of a viewer who may see accounts: its own, administrators all.

        Raises NotSignedIn and ScopeMissing.
        """
        return self.required(Scope.ADMIN if self.is_admin else Scope.ACCOUNT_READ)

    def administering(self) -> UUID:
        """The user id of a viewer who administers the service.

        Raises NotSignedIn, ScopeMissing and AdministratorsOnly.
        """
        user_id = self.required(Scope.ADMIN)
        if not self.is_admin:
            raise AdministratorsOnly
        return user_id


NOBODY = Viewer()
