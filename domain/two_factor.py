"""The second factor: codes of an authenticator app, and recovery codes for whoever has lost it.

The secret of an app has to be kept so that it can be read; it is sealed, and for its user alone.
"""

import re
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from db import challenges, two_factor, users
from db.engine import Rows, Transaction
from domain import proofs, totp
from domain.errors import CodeWrong, TwoFactorOff, TwoFactorOn, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ports import Ports
from domain.proofs import Proof
from domain.rates import Counted, count_guess
from domain.viewer import Viewer

ISSUER = "Cairn"
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
LONGEST_CODE = 64
_RECOVERY_CODE = re.compile(r"[a-z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Started:
    """What an authenticator app is set up with, as text to type and as a URI for a QR code."""

    secret: str
    otpauth_uri: str


@dataclass(frozen=True, slots=True)
class BothFactors:
    """A password that was compared, and a code of the app or for recovery."""

    proof: Proof
    code: str


async def is_on(rows: Rows, user_id: UUID) -> bool:
    """Whether a login of this user needs a second factor."""
    factor = await two_factor.of_user(rows, user_id)
    return factor is not None and factor.confirmed_at is not None


async def start(
    tx: Transaction, ports: Ports, viewer: Viewer, proof: Proof, facts: RequestFacts
) -> Started | WrongPassword:
    """Make the secret of a second factor, which is on once it is confirmed. One that waited already is forgotten.

    Raises TwoFactorOn.
    """
    user_id, now = viewer.in_person(), ports.clock.now()
    refusal = await proofs.accept(tx, ports, viewer, proof, facts)
    if refusal is not None:
        return refusal
    if await is_on(tx, user_id):
        raise TwoFactorOn
    secret = ports.randomness.draw(totp.SECRET_BYTES)
    await two_factor.start(tx, user_id, ports.sealer.seal(secret, user_id.bytes), now)
    await tx.add(event(EventKind.TWO_FACTOR_STARTED, Subject(user_id, target_id=user_id), facts, now))
    [user] = await users.by_ids(tx, [user_id])
    return Started(totp.written(secret), totp.otpauth_uri(secret, ISSUER, user.username))


async def confirm(tx: Transaction, ports: Ports, viewer: Viewer, code: str, facts: RequestFacts) -> list[str]:
    """Switch the second factor on with a first code; the recovery codes, which are told this once.

    Raises NotSignedIn, NotForKeys, TwoFactorOff when none was started, TwoFactorOn and CodeWrong.
    """
    user_id, now = viewer.in_person(), ports.clock.now()
    # Of two who confirm or start at once the second sees what the first has done.
    await users.hold_enabled(tx, user_id)
    waiting = await two_factor.of_user(tx, user_id)
    if waiting is None:
        raise TwoFactorOff(message="Start two-factor first.")
    if waiting.confirmed_at is not None:
        raise TwoFactorOn
    secret = ports.sealer.unseal(waiting.sealed_secret, user_id.bytes).secret
    step = totp.step_of(secret, _normal(code), now)
    if step is None:
        raise CodeWrong(path=("code",))
    await two_factor.confirm(tx, user_id, step, now)
    codes = [_recovery_code(ports) for _ in range(RECOVERY_CODES)]
    await two_factor.add_recovery_codes(tx, user_id, [_hash(_normal(recovery_code)) for recovery_code in codes])
    await tx.add(event(EventKind.TWO_FACTOR_ENABLED, Subject(user_id, target_id=user_id), facts, now))
    return codes


async def count_code(ports: Ports, viewer: Viewer, facts: RequestFacts) -> list[Counted]:
    """A code that is given beside the own password, before it is judged: a guess, as the password is.

    Raises NotSignedIn and RateLimited.
    """
    account = f"second factor of {viewer.in_person().hex} by {viewer.session_id}"
    return await count_guess(ports, account, facts, is_known=False)


async def disable(
    tx: Transaction, ports: Ports, viewer: Viewer, given: BothFactors, facts: RequestFacts
) -> WrongPassword | CodeWrong | None:
    """Switch the second factor off, given the password and a code; None when it is done.

    Raises NotSignedIn, NotForKeys and TwoFactorOff.
    """
    user_id, now = viewer.in_person(), ports.clock.now()
    refusal = await proofs.accept(tx, ports, viewer, given.proof, facts)
    if refusal is not None:
        return refusal
    if not await is_on(tx, user_id):
        raise TwoFactorOff
    if not await accept_code(tx, ports, user_id, given.code, facts):
        subject = Subject(user_id, target_id=user_id, data={"factor": "code"})
        await tx.add(event(EventKind.REAUTHENTICATION_FAILED, subject, facts, now))
        return CodeWrong(path=("code",))
    await two_factor.remove(tx, user_id)
    await challenges.remove_all_of(tx, user_id)
    await tx.add(event(EventKind.TWO_FACTOR_DISABLED, Subject(user_id, target_id=user_id), facts, now))
    return None


async def accept_code(tx: Transaction, ports: Ports, user_id: UUID, code: str, facts: RequestFacts) -> bool:
    """Take a code of the app, each time step once and in order, or a recovery code, once. False for any other."""
    now, given = ports.clock.now(), _normal(code)
    if totp.is_code(given):
        return await _accept_step(tx, ports, user_id, given, now)
    if not _RECOVERY_CODE.fullmatch(given) or not await two_factor.use_recovery_code(tx, user_id, _hash(given)):
        return False
    await tx.add(event(EventKind.RECOVERY_CODE_USED, Subject(user_id, target_id=user_id), facts, now))
    return True


async def _accept_step(tx: Transaction, ports: Ports, user_id: UUID, code: str, now: datetime) -> bool:
    factor = await two_factor.of_user(tx, user_id)
    if factor is None or factor.confirmed_at is None:
        return False
    unsealed = ports.sealer.unseal(factor.sealed_secret, user_id.bytes)
    step = totp.step_of(unsealed.secret, code, now)
    if step is None or not await two_factor.use_step(tx, user_id, step):
        return False
    if unsealed.is_outdated:
        await two_factor.reseal(tx, user_id, ports.sealer.seal(unsealed.secret, user_id.bytes))
    return True


def _recovery_code(ports: Ports) -> str:
    letters = b32encode(ports.randomness.draw(RECOVERY_BYTES)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def _normal(code: str) -> str:
    """A code as it is compared: people type spaces, dashes and capitals."""
    return "".join(code[:LONGEST_CODE].split()).replace("-", "").lower()


def _hash(recovery_code: str) -> str:
    # 80 random bits, so that a fast hash is enough.
    return sha256(recovery_code.encode()).hexdigest()
