"""What news are about: the topics that verbs tell of, and subscriptions listen to."""

from uuid import UUID

from db.engine import Transaction


def of_upload(upload_id: UUID) -> str:
    """How far an upload is, or that its record has changed."""
    return f"upload:{upload_id.hex}"


def of_senders(upload_id: UUID) -> str:
    """That whoever sends bytes of an upload is to let go of it."""
    return f"senders:{upload_id.hex}"


def of_files(workspace_id: UUID) -> str:
    """What happens to the files of a workspace."""
    return f"files:{workspace_id.hex}"


def of_credentials(user_id: UUID) -> str:
    """That something which a user came by may be good no longer."""
    return f"credentials:{user_id.hex}"


def tell_credentials(tx: Transaction, user_id: UUID) -> None:
    """Have those look again, once this is committed, who go on serving what the user once came by."""
    tx.tell(of_credentials(user_id))


def tell_upload(tx: Transaction, upload_id: UUID) -> None:
    """Have those look again, once this is committed, who watch an upload."""
    tx.tell(of_upload(upload_id))
