"""Who gets what: every verb, and every way to read something by its id, with what each kind of asker is told.

It is the table that the rules are tested against, by `tests/domain/test_rights.py`, through the front door. The rules
do not look here: they are another way to say the same, so that neither can be wrong unnoticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from domain.scopes import Scope


class Outcome(StrEnum):
    """What becomes of a request that names something.

    Not found is what there is not and what the asker may not see, alike: also an empty list, and null. Forbidden is
    what the asker sees and may not change, and what no asker of this kind may do, whatever is named.
    """

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    UNAUTHENTICATED = "unauthenticated"


class Keys(StrEnum):
    """What a verb says of API keys where it asks for no scope."""

    ANY = "any key, whatever its scopes"
    NONE = "no key"


class Outcomes(NamedTuple):
    """What each kind of asker is told.

    `owner`, `editor` and `viewer` are members of the workspace that is named or that what is named lies in; where it
    lies in none, it belongs to `owner`. The `stranger` and the `administrator` are no members. The `lesser_key` is one
    of the owner that lacks the scope, where one is asked for, and the `disabled` user was an owner, with a session.
    """

    owner: Outcome
    editor: Outcome
    viewer: Outcome
    stranger: Outcome
    administrator: Outcome
    lesser_key: Outcome
    disabled: Outcome
    nobody: Outcome


@dataclass(frozen=True, slots=True)
class Right:
    """What a key needs for a verb, and what becomes of the verb for whom.

    `or_else` is a scope that does as well, `and_also` one that it needs besides.
    """

    needs: Scope | Keys
    outcomes: Outcomes
    or_else: Scope | None = None
    and_also: Scope | None = None


_YES, _NO, _NOT, _WHO = Outcome.ALLOWED, Outcome.FORBIDDEN, Outcome.NOT_FOUND, Outcome.UNAUTHENTICATED

#                        owner editor viewer stranger administrator lesser_key disabled nobody
_SEEN_BY_MEMBERS = Outcomes(_YES, _YES, _YES, _NOT, _NOT, _NO, _WHO, _NOT)
_READ_BY_MEMBERS = Outcomes(_YES, _YES, _YES, _NOT, _NOT, _NO, _WHO, _WHO)
_LENT_BY_MEMBERS = Outcomes(_YES, _YES, _YES, _NOT, _NOT, _NO, _NOT, _WHO)  # who asks is whoever signed the link
_MET_BY_MEMBERS = Outcomes(_YES, _YES, _YES, _NOT, _YES, _NO, _WHO, _NOT)
_COUNTED_FOR_MEMBERS = Outcomes(_YES, _YES, _YES, _NOT, _YES, _NO, _WHO, _WHO)
_TOLD_TO_WRITERS = Outcomes(_YES, _YES, _NOT, _NOT, _NOT, _NO, _WHO, _WHO)
_CHANGED_BY_WRITERS = Outcomes(_YES, _YES, _NO, _NOT, _NOT, _NO, _WHO, _WHO)
_CHANGED_BY_OWNERS = Outcomes(_YES, _NO, _NO, _NOT, _NOT, _NO, _WHO, _WHO)
_FOR_OWNERS_ALONE = Outcomes(_YES, _NOT, _NOT, _NOT, _NOT, _NO, _WHO, _WHO)
_OWN = _FOR_OWNERS_ALONE
_OWN_HISTORY = Outcomes(_YES, _NOT, _NOT, _NOT, _NOT, _NO, _WHO, _NOT)
_FOR_WHO_WAS_INVITED = Outcomes(_NOT, _NOT, _NOT, _YES, _NOT, _NO, _WHO, _WHO)  # the stranger
_FOR_ADMINISTRATORS = Outcomes(_NO, _NO, _NO, _NO, _YES, _NO, _WHO, _WHO)
_SEEN_BY_ADMINISTRATORS = Outcomes(_NOT, _NOT, _NOT, _NOT, _YES, _NO, _WHO, _NOT)
_FOR_WHO_IS_SIGNED_IN = Outcomes(_YES, _YES, _YES, _YES, _YES, _NO, _WHO, _WHO)
_OF_WHO_IS_SIGNED_IN = Outcomes(_YES, _YES, _YES, _YES, _YES, _YES, _WHO, _NOT)
_FOR_ALL = Outcomes(
    _YES, _YES, _YES, _YES, _YES, _YES, _YES, _YES
)  # their right is what they bring: a password, a token

RIGHTS: Mapping[str, Right] = {
    # By any id: what a `node` is allowed depends on what it is.
    "node: file": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "node: version": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "node: workspace": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "node: upload_session": Right(Scope.FILES_WRITE, _OWN_HISTORY),
    "node: user": Right(Scope.FILES_READ, _MET_BY_MEMBERS, or_else=Scope.ACCOUNT_WRITE),
    "node: storage_check": Right(Scope.ADMIN, _SEEN_BY_ADMINISTRATORS),
    "node: analytics_export": Right(Scope.ANALYTICS_READ, _OWN_HISTORY),
    "nodes: analytics_export": Right(Scope.ANALYTICS_READ, _OWN_HISTORY),
    "nodes: storage_check": Right(Scope.ADMIN, _SEEN_BY_ADMINISTRATORS),
    "nodes: file": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "nodes: version": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "nodes: workspace": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "nodes: upload_session": Right(Scope.FILES_WRITE, _OWN_HISTORY),
    "nodes: user": Right(Scope.FILES_READ, _MET_BY_MEMBERS, or_else=Scope.ACCOUNT_WRITE),
    # Files
    "file": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "files": Right(Scope.FILES_READ, _READ_BY_MEMBERS),
    "download": Right(Scope.FILES_READ, _READ_BY_MEMBERS),
    "download_version": Right(Scope.FILES_READ, _READ_BY_MEMBERS),
    "download_by_link": Right(Scope.FILES_READ, _LENT_BY_MEMBERS),
    "upload_policy": Right(Scope.FILES_WRITE, _TOLD_TO_WRITERS),
    "upload_file": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    "upload_files": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    "create_upload": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    "complete_upload": Right(Scope.FILES_WRITE, _OWN),
    "abort_upload": Right(Scope.FILES_WRITE, _OWN),
    "upload_session": Right(Scope.FILES_WRITE, _OWN_HISTORY),
    "upload_sessions": Right(Scope.FILES_WRITE, _OWN),
    "continue_by_tus": Right(Scope.FILES_WRITE, _OWN),
    "rename_file": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    "restore_version": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    "purge_files": Right(Scope.FILES_WRITE, _CHANGED_BY_WRITERS),
    # Streams
    "upload_progress": Right(Scope.FILES_WRITE, _OWN),
    "file_changed": Right(Scope.FILES_READ, _READ_BY_MEMBERS),
    # Workspaces
    "workspace": Right(Scope.FILES_READ, _SEEN_BY_MEMBERS),
    "analytics": Right(Scope.ANALYTICS_READ, _COUNTED_FOR_MEMBERS),
    "export_analytics": Right(Scope.ANALYTICS_READ, _COUNTED_FOR_MEMBERS, and_also=Scope.FILES_WRITE),
    "analytics_export": Right(Scope.ANALYTICS_READ, _OWN_HISTORY),
    "create_workspace": Right(Scope.ACCOUNT_WRITE, _FOR_WHO_IS_SIGNED_IN),
    "rename_workspace": Right(Scope.ACCOUNT_WRITE, _CHANGED_BY_OWNERS),
    "delete_workspace": Right(Scope.ACCOUNT_WRITE, _CHANGED_BY_OWNERS),
    "leave_workspace": Right(Scope.ACCOUNT_WRITE, _READ_BY_MEMBERS),
    "update_member": Right(Scope.ACCOUNT_WRITE, _CHANGED_BY_OWNERS),
    "remove_member": Right(Scope.ACCOUNT_WRITE, _CHANGED_BY_OWNERS),
    "invite_member": Right(Scope.ACCOUNT_WRITE, _CHANGED_BY_OWNERS),
    "revoke_invitation": Right(Scope.ACCOUNT_WRITE, _FOR_OWNERS_ALONE),
    "accept_invitation": Right(Scope.ACCOUNT_WRITE, _FOR_WHO_WAS_INVITED),
    # Signing in and out
    "viewer": Right(Keys.ANY, _OF_WHO_IS_SIGNED_IN),
    "signup": Right(Keys.ANY, _FOR_ALL),
    "login": Right(Keys.ANY, _FOR_ALL),
    "complete_login": Right(Keys.ANY, _FOR_ALL),
    "refresh_session": Right(Keys.ANY, _FOR_ALL),
    "logout": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "revoke_session": Right(Keys.NONE, _OWN),
    "revoke_sessions": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "create_stream_ticket": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "start_two_factor": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "confirm_two_factor": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "disable_two_factor": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    # The own account
    "verify_email": Right(Keys.ANY, _FOR_ALL),
    "resend_verification": Right(Scope.ACCOUNT_WRITE, _FOR_WHO_IS_SIGNED_IN),
    "change_email": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "confirm_email": Right(Keys.ANY, _FOR_ALL),
    "change_password": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "request_password_reset": Right(Keys.ANY, _FOR_ALL),
    "reset_password": Right(Keys.ANY, _FOR_ALL),
    "update_profile": Right(Scope.ACCOUNT_WRITE, _FOR_WHO_IS_SIGNED_IN),
    "delete_account": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "activity": Right(Scope.ACCOUNT_READ, _OWN_HISTORY),
    "create_api_key": Right(Keys.NONE, _FOR_WHO_IS_SIGNED_IN),
    "update_api_key": Right(Keys.NONE, _OWN),
    "rotate_api_key": Right(Keys.NONE, _OWN),
    "revoke_api_key": Right(Keys.NONE, _OWN),
    # Administration
    "users": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "audit_log": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "set_user_role": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "set_user_disabled": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "set_quota": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "delete_user": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "check_storage": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "storage_check": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
    "storage_checks": Right(Scope.ADMIN, _FOR_ADMINISTRATORS),
}
