"""A second factor from its start to its end, and the logins that it stands before."""

import asyncio
from base64 import b32decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from api.seals import AesSealer
from db.engine import Database
from db.models import Challenge, Event, RecoveryCode, TwoFactor, User
from db.rates import Rate
from db.rows import CredentialsRow
from domain import two_factor
from domain.challenges import MAXIMUM_ATTEMPTS
from domain.errors import (
    ChallengeInvalid,
    CodeWrong,
    NotSignedIn,
    RateLimited,
    TwoFactorOff,
    TwoFactorOn,
    WrongPassword,
)
from domain.events import RequestFacts
from domain.passwords import Verification
from domain.policy import Limit
from domain.ports import Ports
from domain.proofs import Proof
from domain.refresh_tokens import SignedIn
from domain.sessions import Attempt, Challenged, complete_login, login, revoke_other_sessions, sweep
from domain.totp import code_at
from domain.two_factor import BothFactors, Started
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, MovableClock, Person, add_person, make_ports

FACTS = RequestFacts("req-1", "192.0.2.1")


@dataclass(frozen=True, slots=True)
class World:
    """Somebody who may want a second factor, and the app on a phone."""

    db: Database
    clock: MovableClock
    ports: Ports
    ada: Person

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.ada.id, session_id=self.ada.session_id)

    @property
    def proof(self) -> Proof:
        return Proof(CredentialsRow(self.ada.id, "-"), is_right=True)

    def code(self, secret: str, steps: int = 0) -> str:
        """What the app shows now, or so many steps later."""
        return code_at(b32decode(secret), int(self.clock.now().timestamp()) // 30 + steps)

    async def start(self, viewer: Viewer | None = None, proof: Proof | None = None) -> Started | WrongPassword:
        async with self.db.transaction() as tx:
            return await two_factor.start(tx, self.ports, viewer or self.viewer, proof or self.proof, FACTS)

    async def started(self) -> str:
        outcome = await self.start()
        assert isinstance(outcome, Started)
        return outcome.secret

    async def confirm(self, code: str, viewer: Viewer | None = None) -> list[str]:
        async with self.db.transaction() as tx:
            return await two_factor.confirm(tx, self.ports, viewer or self.viewer, code, FACTS)

    async def switched_on(self) -> tuple[str, list[str]]:
        """The secret and the recovery codes; the clock moves on, so that the next code is another."""
        secret = await self.started()
        codes = await self.confirm(self.code(secret))
        self.clock.forward(seconds=60)
        return secret, codes

    async def disable(self, code: str, proof: Proof | None = None) -> WrongPassword | CodeWrong | None:
        async with self.db.transaction() as tx:
            return await two_factor.disable(tx, self.ports, self.viewer, BothFactors(proof or self.proof, code), FACTS)

    async def log_in(self) -> SignedIn | Challenged | WrongPassword:
        async with self.db.transaction() as tx:
            attempt = Attempt(CredentialsRow(self.ada.id, "-"), Verification(is_right=True))
            return await login(tx, self.ports, attempt, FACTS)

    async def challenge(self) -> str:
        outcome = await self.log_in()
        assert isinstance(outcome, Challenged)
        return outcome.challenge

    async def complete(self, challenge: str, code: str) -> SignedIn | ChallengeInvalid | CodeWrong:
        async with self.db.transaction() as tx:
            return await complete_login(tx, self.ports, challenge, code, FACTS)

    async def count(self, table: type[Challenge] | type[RecoveryCode] | type[TwoFactor]) -> int:
        async with self.db.reading() as rows:
            number: int = await rows.scalar(select(func.count()).select_from(table))
        return number

    async def events(self) -> list[str]:
        async with self.db.reading() as rows:
            return [kind for (kind,) in await rows.all(select(col(Event.kind)).order_by(col(Event.id)))]

    async def is_in_the_database(self, *secrets: str) -> bool:
        """Whether one of the secrets stands in a row, as it was given out."""
        found: list[object] = []
        async with self.db.reading() as rows:
            for column in (
                col(TwoFactor.sealed_secret),
                col(RecoveryCode.code_hash),
                col(Challenge.token_hash),
                col(Event.data),
            ):
                found += await rows.all(select(column))
        return any(secret in str(found) for secret in secrets)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    yield World(db, clock, make_ports(clock), await add_person(db, "ada"))
    await db.close()


async def test_a_second_factor_is_on_once_it_is_confirmed(world: World) -> None:
    outcome = await world.start()
    assert isinstance(outcome, Started)
    uri = urlsplit(outcome.otpauth_uri)
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Cairn:ada")
    assert parse_qs(uri.query)["secret"] == [outcome.secret]
    assert len(b32decode(outcome.secret)) == 20
    assert isinstance(await world.log_in(), SignedIn)

    codes = await world.confirm(world.code(outcome.secret))
    assert len(set(codes)) == 10
    assert {len(code) for code in codes} == {19}
    assert isinstance(await world.log_in(), Challenged)
    assert await world.events() == [
        "two_factor.started",
        "login.succeeded",
        "two_factor.enabled",
        "login.challenged",
    ]
    assert not await world.is_in_the_database(outcome.secret, *codes)


async def test_only_the_last_secret_that_was_started_counts(world: World) -> None:
    first, second = await world.started(), await world.started()
    with pytest.raises(CodeWrong):
        await world.confirm(world.code(first))
    assert await world.confirm(world.code(second))
    with pytest.raises(TwoFactorOn):
        await world.start()
    with pytest.raises(TwoFactorOn):
        await world.confirm(world.code(second, 1))


async def test_of_confirmations_at_once_one_gives_recovery_codes(world: World) -> None:
    secret = await world.started()
    confirming = (world.confirm(world.code(secret)) for _ in range(10))
    outcomes = await asyncio.gather(*confirming, return_exceptions=True)

    assert len([outcome for outcome in outcomes if isinstance(outcome, list)]) == 1
    assert all(isinstance(outcome, list | CodeWrong | TwoFactorOn) for outcome in outcomes)
    assert await world.count(RecoveryCode) == 10


async def test_starting_and_confirming_at_once_leaves_one_of_them(world: World) -> None:
    secret = await world.started()
    doing = [world.confirm(world.code(secret)), *(world.start() for _ in range(5))]
    outcomes = await asyncio.gather(*doing, return_exceptions=True)

    assert all(isinstance(outcome, list | Started | CodeWrong | TwoFactorOn) for outcome in outcomes)
    assert await world.count(TwoFactor) == 1


async def test_nothing_can_be_confirmed_or_disabled_that_was_not_started(world: World) -> None:
    with pytest.raises(TwoFactorOff):
        await world.confirm("123456")
    with pytest.raises(TwoFactorOff):
        await world.disable("123456")
    secret = await world.started()
    with pytest.raises(TwoFactorOff):
        await world.disable(world.code(secret))


async def test_nobody_has_no_second_factor(world: World) -> None:
    with pytest.raises(NotSignedIn):
        await world.start(NOBODY)
    with pytest.raises(NotSignedIn):
        await world.confirm("123456", NOBODY)


async def test_a_wrong_password_starts_and_disables_nothing_and_is_recorded(world: World) -> None:
    wrong = replace(world.proof, is_right=False)
    gone = replace(world.proof, credentials=None)
    changed = replace(world.proof, credentials=CredentialsRow(world.ada.id, "the old hash"))
    stranger = replace(world.proof, credentials=CredentialsRow(uuid7(), "-"))
    for proof in (wrong, gone, changed, stranger):
        assert isinstance(await world.start(proof=proof), WrongPassword)
    assert await world.count(TwoFactor) == 0
    assert await world.events() == ["reauthentication.failed"] * 4
    secret, _ = await world.switched_on()
    assert isinstance(await world.disable(world.code(secret), wrong), WrongPassword)
    assert isinstance(await world.log_in(), Challenged)


async def test_a_challenge_is_met_with_the_code_of_the_app_once(world: World) -> None:
    secret, _ = await world.switched_on()
    first, second = await world.challenge(), await world.challenge()
    code = world.code(secret)
    signed_in = await world.complete(first, f" {code[:3]} {code[3:]} ")

    assert isinstance(signed_in, SignedIn)
    assert signed_in.user.last_login_at == world.clock.now()
    assert isinstance(await world.complete(first, world.code(secret, 1)), ChallengeInvalid)
    assert isinstance(await world.complete(second, code), CodeWrong)
    assert isinstance(await world.complete(second, world.code(secret, 1)), SignedIn)
    assert isinstance(await world.complete(await world.challenge(), world.code(secret)), CodeWrong)
    assert not await world.is_in_the_database(first, second)


async def test_the_code_that_confirmed_is_used(world: World) -> None:
    secret = await world.started()
    await world.confirm(world.code(secret))

    assert isinstance(await world.complete(await world.challenge(), world.code(secret)), CodeWrong)


async def test_of_many_who_meet_challenges_with_one_code_at_once_one_wins(world: World) -> None:
    secret, _ = await world.switched_on()
    same, others = await world.challenge(), [await world.challenge() for _ in range(5)]
    code = world.code(secret)
    outcomes = await asyncio.gather(*(world.complete(each, code) for each in [same] * 5 + others))

    assert len([outcome for outcome in outcomes if isinstance(outcome, SignedIn)]) == 1


async def test_a_recovery_code_stands_in_for_the_app_once_in_any_way_of_writing(world: World) -> None:
    _, codes = await world.switched_on()
    written = codes[0].replace("-", " ").upper()

    assert isinstance(await world.complete(await world.challenge(), written), SignedIn)
    assert isinstance(await world.complete(await world.challenge(), codes[0]), CodeWrong)
    assert await world.count(RecoveryCode) == 9
    outcomes = await asyncio.gather(
        *(world.complete(each, codes[1]) for each in [await world.challenge() for _ in range(5)])
    )
    assert len([outcome for outcome in outcomes if isinstance(outcome, SignedIn)]) == 1
    assert (await world.events()).count("recovery_code.used") == 2


async def test_a_challenge_bears_five_wrong_codes(world: World) -> None:
    secret, _ = await world.switched_on()
    challenge = await world.challenge()
    hostile = ["000000", "", "\0" * 6, "\ud800", "9" * 100_000, "aaaa-aaaa-aaaa-aaaa"]
    outcomes = [await world.complete(challenge, code) for code in hostile]

    assert [type(outcome) for outcome in outcomes] == [CodeWrong] * MAXIMUM_ATTEMPTS + [ChallengeInvalid]
    assert isinstance(await world.complete(challenge, world.code(secret)), ChallengeInvalid)
    assert (await world.events()).count("login.failed") == 5


async def test_of_fifty_guesses_at_once_five_are_judged(world: World) -> None:
    await world.switched_on()
    challenge = await world.challenge()
    outcomes = await asyncio.gather(*(world.complete(challenge, "aaaa-aaaa-aaaa-aaaa") for _ in range(50)))

    assert len([outcome for outcome in outcomes if isinstance(outcome, CodeWrong)]) == MAXIMUM_ATTEMPTS


async def test_a_challenge_lasts_five_minutes_and_is_swept_away(world: World) -> None:
    secret, _ = await world.switched_on()
    challenge = await world.challenge()
    world.clock.forward(minutes=5)

    assert isinstance(await world.complete(challenge, world.code(secret)), ChallengeInvalid)
    await sweep(world.db, world.clock.now())
    assert await world.count(Challenge) == 1
    await sweep(world.db, world.clock.now() + timedelta(days=2))
    assert await world.count(Challenge) == 0


@pytest.mark.parametrize("challenge", ["", "A" * 43, "A" * 100_000, "\0" * 43, "\ud800" * 43])
async def test_a_challenge_that_was_never_given_out_is_not_met(world: World, challenge: str) -> None:
    secret, _ = await world.switched_on()
    assert isinstance(await world.complete(challenge, world.code(secret)), ChallengeInvalid)


async def test_a_disabled_user_meets_no_challenge(world: World) -> None:
    secret, _ = await world.switched_on()
    challenge = await world.challenge()
    async with world.db.transaction() as tx:
        await tx.execute(update(User).values(disabled_at=NOW))

    assert isinstance(await world.complete(challenge, world.code(secret)), ChallengeInvalid)


async def test_ending_all_other_sessions_ends_logins_that_are_under_way(world: World) -> None:
    secret, _ = await world.switched_on()
    challenge = await world.challenge()
    async with world.db.transaction() as tx:
        await revoke_other_sessions(tx, world.ports, world.viewer, FACTS)

    assert isinstance(await world.complete(challenge, world.code(secret)), ChallengeInvalid)


async def test_a_second_factor_is_switched_off_with_both_factors(world: World) -> None:
    secret, codes = await world.switched_on()
    challenge = await world.challenge()
    assert isinstance(await world.disable("000000"), CodeWrong)
    assert await world.disable(world.code(secret)) is None

    assert isinstance(await world.log_in(), SignedIn)
    assert isinstance(await world.complete(challenge, codes[0]), ChallengeInvalid)
    assert await world.count(RecoveryCode) == 0
    secret, codes = await world.switched_on()
    assert await world.disable(codes[0]) is None
    assert [kind for kind in await world.events() if "two_factor.disabled" in kind] == ["two_factor.disabled"] * 2
    assert (await world.events()).count("reauthentication.failed") == 1


async def test_codes_that_a_session_gives_are_guesses_and_keep_no_other_session_out(world: World) -> None:
    ports = replace(world.ports, rates={Limit.LOGINS_PER_ACCOUNT: Rate(3, 3600)})
    for _ in range(3):
        await two_factor.count_code(ports, world.viewer, FACTS)
    with pytest.raises(RateLimited):
        await two_factor.count_code(ports, world.viewer, FACTS)
    assert await two_factor.count_code(ports, Viewer(world.ada.id, session_id=uuid7()), FACTS)
    with pytest.raises(NotSignedIn):
        await two_factor.count_code(ports, NOBODY, FACTS)


async def test_a_challenge_is_not_met_once_the_second_factor_is_gone(world: World) -> None:
    secret, _ = await world.switched_on()
    challenge = await world.challenge()
    async with world.db.transaction() as tx:
        await tx.execute(update(TwoFactor).values(confirmed_at=None))

    assert isinstance(await world.complete(challenge, world.code(secret)), CodeWrong)


async def test_a_secret_is_sealed_anew_when_the_key_has_changed(world: World) -> None:
    secret, _ = await world.switched_on()
    changed = replace(world, ports=replace(world.ports, sealer=AesSealer((b"n" * 32, b"e" * 32))))
    assert isinstance(await changed.complete(await changed.challenge(), changed.code(secret)), SignedIn)
    world.clock.forward(seconds=60)
    newest = replace(world, ports=replace(world.ports, sealer=AesSealer((b"n" * 32,))))

    assert isinstance(await newest.complete(await newest.challenge(), newest.code(secret)), SignedIn)
