"""Selects and writes on second factors: the sealed secrets of authenticator apps, and recovery codes.

Whoever changes one locks its user first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import RecoveryCode, TwoFactor


class TwoFactorRow(NamedTuple):
    """A user's second factor. It is not on before it is confirmed."""

    user_id: UUID
    sealed_secret: str
    confirmed_at: datetime | None


async def of_user(rows: Rows, user_id: UUID) -> TwoFactorRow | None:
    """The user's second factor, confirmed or not."""
    row = await rows.first(
        select(col(TwoFactor.user_id), col(TwoFactor.sealed_secret), col(TwoFactor.confirmed_at)).where(
            col(TwoFactor.user_id) == user_id
        )
    )
    return row and TwoFactorRow._make(row)


async def start(tx: Transaction, user_id: UUID, sealed_secret: str, now: datetime) -> None:
    """Keep a secret that waits to be confirmed, in the place of one that waits already."""
    await remove(tx, user_id)
    await tx.add(TwoFactor(user_id=user_id, sealed_secret=sealed_secret, created_at=now))


async def confirm(tx: Transaction, user_id: UUID, step: int, now: datetime) -> None:
    """Switch a second factor on; the code of this time step is used."""
    await tx.execute(
        update(TwoFactor).where(col(TwoFactor.user_id) == user_id).values(confirmed_at=now, last_step=step)
    )


async def use_step(tx: Transaction, user_id: UUID, step: int) -> bool:
    """Accept the code of a time step. False unless it is later than the last that was accepted."""
    changed = await tx.execute(
        update(TwoFactor)
        .where(col(TwoFactor.user_id) == user_id, col(TwoFactor.last_step) < step)
        .values(last_step=step)
    )
    return changed == 1


async def reseal(tx: Transaction, user_id: UUID, sealed_secret: str) -> None:
    """Keep a secret under another seal."""
    await tx.execute(update(TwoFactor).where(col(TwoFactor.user_id) == user_id).values(sealed_secret=sealed_secret))


async def remove(tx: Transaction, user_id: UUID) -> None:
    """Switch a second factor off, and forget its recovery codes with it."""
    await tx.execute(delete(TwoFactor).where(col(TwoFactor.user_id) == user_id))


async def add_recovery_codes(tx: Transaction, user_id: UUID, code_hashes: Sequence[str]) -> None:
    """Keep the hashes of recovery codes."""
    await tx.insert(RecoveryCode, [{"user_id": user_id, "code_hash": code_hash} for code_hash in code_hashes])


async def use_recovery_code(tx: Transaction, user_id: UUID, code_hash: str) -> bool:
    """Accept a recovery code, once: it is removed. False for any other."""
    changed = await tx.execute(
        delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id, col(RecoveryCode.code_hash) == code_hash)
    )
    return changed == 1
