"""Invitations: sent, accepted once by the right person, revoked, and silent about who has an account."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Transaction
from db.models import Event, Invitation, Member, User, WorkspaceRole
from db.questions import Window
from db.rates import Rate
from db.rows import InvitationRow, WorkspaceRow
from domain import invitations, workspaces
from domain.errors import InvalidInput, NotFound, NotSignedIn, PersonalWorkspace, RateLimited
from domain.invitations import Invited
from domain.policy import Limit
from domain.viewer import NOBODY, Viewer
from domain.workspaces import Deletion
from tests.records import NOW, add_member, add_person, make_ports
from tests.scenes import FACTS, Scene, Verb

OWNER, EDITOR, VIEWER = WorkspaceRole.OWNER, WorkspaceRole.EDITOR, WorkspaceRole.VIEWER
UNSEEN = {"nobody": "NotSignedIn", "disabled": "NotFound", "stranger": "NotFound", "administrator": "NotFound"}
STRANGER = "stranger@example.com"


def invite(scene: Scene, email: str = STRANGER, role: WorkspaceRole = EDITOR, workspace_id: UUID | None = None) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        invited = Invited(workspace_id or scene.workspace_id, email, role)
        return await invitations.invite_member(tx, scene.ports, viewer, invited, FACTS)

    return verb


def accept(scene: Scene, token: str) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await invitations.accept_invitation(tx, scene.ports, viewer, token, FACTS)

    return verb


def revoke(scene: Scene, invitation_id: UUID) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await invitations.revoke_invitation(tx, scene.ports, viewer, invitation_id, FACTS)

    return verb


async def sent(scene: Scene, email: str = STRANGER, role: WorkspaceRole = EDITOR) -> tuple[InvitationRow, str]:
    """An invitation and its token."""
    row = await scene.ask("owner", invite(scene, email, role))
    assert isinstance(row, InvitationRow)
    [token] = re.findall(r"#accept-invitation=([\w-]{43})$", (await scene.mails())[-1]["text"], re.MULTILINE)
    return row, token


async def role_of(scene: Scene, name: str) -> str | None:
    async with scene.db.reading() as rows:
        found: str | None = await rows.scalar(
            select(col(Member.role)).where(
                col(Member.workspace_id) == scene.workspace_id, col(Member.user_id) == scene.id(name)
            )
        )
    return found


def same(outcome: object) -> bool:
    """Whether a token is refused in the one way in which all are."""
    assert isinstance(outcome, NotFound)
    return (outcome.message, outcome.path) == ("There is no such invitation.", ("token",))


async def test_only_an_owner_invites_and_the_letter_alone_has_the_token(scene: Scene) -> None:
    told = await scene.outcomes(invite(scene))
    assert told == {**UNSEEN, "viewer": "Forbidden", "editor": "Forbidden", "owner": "ok"}
    [mail] = await scene.mails()
    assert mail["to"] == STRANGER
    assert mail["subject"] == "Invitation to the workspace “Team”"
    assert "owner invites you to the workspace “Team”, as editor." in mail["text"]
    [token] = set(re.findall(r"#accept-invitation=([\w-]{43})", mail["text"] + mail["html"]))
    async with scene.db.reading() as rows:
        kept = await rows.all(select(Invitation.__table__))  # type: ignore[attr-defined]
        told_of = await rows.all(select(col(Event.data), col(Event.kind)))
    assert len(kept) == 1
    assert kept[0].expires_at == NOW + timedelta(days=7)
    assert token not in str(kept)
    assert [tuple(row) for row in told_of] == [({"role": "EDITOR"}, "invitation.sent")]


async def test_an_email_that_is_none_is_refused(scene: Scene) -> None:
    for email in (
        "",
        "nobody",
        "a@b..org",
        "x" * 300 + "@b.org",
        "a\0@b.org",
        "\ud800@b.org",
        "a@b.org\r\nBcc: c@d.org",
    ):
        assert isinstance(await scene.ask("owner", invite(scene, email)), InvalidInput), email
    assert await scene.mails() == []


async def test_nobody_is_invited_to_a_personal_workspace(scene: Scene) -> None:
    own = scene.people["owner"].workspace_id
    assert isinstance(await scene.ask("owner", invite(scene, workspace_id=own)), PersonalWorkspace)


async def test_inviting_works_alike_for_strangers_members_and_those_without_an_account(scene: Scene) -> None:
    answers = []
    for email in (STRANGER, "editor@example.com", "noone@example.com", "owner@example.com"):
        row, _ = await sent(scene, email)
        answers.append(row._replace(id=scene.workspace_id, email=""))
    assert all(answer == answers[0] for answer in answers)
    assert [mail["to"] for mail in await scene.mails()][2] == "noone@example.com"


async def test_the_invited_person_comes_in_once(scene: Scene) -> None:
    _, token = await sent(scene)
    workspace = await scene.ask("stranger", accept(scene, token))
    assert isinstance(workspace, WorkspaceRow)
    assert (workspace.id, workspace.viewer_role) == (scene.workspace_id, "EDITOR")
    assert await role_of(scene, "stranger") == "EDITOR"
    assert same(await scene.ask("stranger", accept(scene, token)))
    stranger = scene.id("stranger")
    assert (await scene.events())[-1] == ("member.joined", stranger, scene.workspace_id, stranger)


async def test_the_email_is_compared_as_at_login(scene: Scene) -> None:
    _, token = await sent(scene, "STRANGER@Example.COM")
    assert isinstance(await scene.ask("stranger", accept(scene, token)), WorkspaceRow)


async def test_a_token_is_refused_in_one_way_whatever_is_wrong_with_it(scene: Scene) -> None:
    row, token = await sent(scene)
    assert isinstance(await scene.ask("nobody", accept(scene, token)), NotSignedIn)
    for name in ("disabled", "administrator", "viewer", "owner"):
        assert same(await scene.ask(name, accept(scene, token))), name
    for wrong in ("", "x", token[:-1], token + "x", token.swapcase(), "x" * 100_000, "\0", "\ud800", "é"):
        assert same(await scene.ask("stranger", accept(scene, wrong))), wrong[:50]
    scene.clock.forward(days=7)
    assert same(await scene.ask("stranger", accept(scene, token)))
    scene.clock.forward(seconds=-1)
    assert isinstance(await scene.ask("owner", revoke(scene, row.id)), InvitationRow)
    assert same(await scene.ask("stranger", accept(scene, token)))
    assert await role_of(scene, "stranger") is None


async def test_an_invitation_falls_with_the_right_of_who_sent_it(scene: Scene) -> None:
    _, token = await sent(scene)
    for change in (
        update(Member).where(col(Member.user_id) == scene.id("owner")).values(role="EDITOR"),
        update(User).where(col(User.id) == scene.id("owner")).values(disabled_at=NOW),
    ):
        async with scene.db.transaction() as tx:
            await tx.execute(change)
        assert same(await scene.ask("stranger", accept(scene, token)))
        async with scene.db.transaction() as tx:
            await tx.execute(update(Member).where(col(Member.user_id) == scene.id("owner")).values(role="OWNER"))
            await tx.execute(update(User).where(col(User.id) == scene.id("owner")).values(disabled_at=None))
    assert isinstance(await scene.ask("stranger", accept(scene, token)), WorkspaceRow)


async def test_an_invitation_falls_with_its_workspace(scene: Scene) -> None:
    _, token = await sent(scene)

    async def delete(tx: Transaction, viewer: Viewer) -> object:
        return await workspaces.delete_workspace(tx, scene.ports, viewer, Deletion(scene.workspace_id), FACTS)

    assert isinstance(await scene.ask("owner", delete), WorkspaceRow)
    assert same(await scene.ask("stranger", accept(scene, token)))


async def test_who_is_a_member_keeps_the_role_it_has(scene: Scene) -> None:
    _, token = await sent(scene, "owner@example.com", VIEWER)
    workspace = await scene.ask("owner", accept(scene, token))
    assert isinstance(workspace, WorkspaceRow)
    assert workspace.viewer_role == "OWNER"
    assert same(await scene.ask("owner", accept(scene, token)))


async def test_a_second_invitation_replaces_the_first(scene: Scene) -> None:
    _, first = await sent(scene)
    _, second = await sent(scene, role=VIEWER)
    assert same(await scene.ask("stranger", accept(scene, first)))
    assert isinstance(await scene.ask("stranger", accept(scene, second)), WorkspaceRow)
    assert await role_of(scene, "stranger") == "VIEWER"


async def test_of_fifty_who_accept_at_once_one_comes_in(scene: Scene) -> None:
    _, token = await sent(scene)
    outcomes = await asyncio.gather(*(scene.ask("stranger", accept(scene, token)) for _ in range(50)))
    assert sum(isinstance(outcome, WorkspaceRow) for outcome in outcomes) == 1
    assert [kind for kind, *_ in await scene.events()].count("member.joined") == 1


async def test_an_invitation_is_accepted_or_revoked_and_never_both(scene: Scene) -> None:
    for number in range(5):
        await add_person(scene.db, f"guest{number}")
    for number in range(5):
        row, token = await sent(scene, f"guest{number}@example.com")
        async with scene.db.reading() as rows:
            guest = await rows.scalar(select(col(User.id)).where(col(User.username) == f"guest{number}"))

        async def come(guest: UUID = guest, token: str = token) -> object:
            try:
                async with scene.db.transaction() as tx:
                    return await accept(scene, token)(tx, Viewer(guest))
            except NotFound as refusal:
                return refusal

        came, revoked = await asyncio.gather(come(), scene.ask("owner", revoke(scene, row.id)))
        assert isinstance(came, WorkspaceRow) != isinstance(revoked, InvitationRow)


async def test_only_owners_see_and_revoke_what_is_open(scene: Scene) -> None:
    row, _ = await sent(scene)
    question = scene.clock.now(), Window(10)

    async def seen(viewer: Viewer) -> tuple[int, Mapping[UUID, int]]:
        async with scene.db.reading() as rows:
            pages = await invitations.pages(rows, viewer, [scene.workspace_id], question)
            return sum(len(page.items) for page in pages.values()), await invitations.counts(
                rows, viewer, [scene.workspace_id], question[0]
            )

    assert await seen(scene.viewer("owner")) == (1, {scene.workspace_id: 1})
    for name in ("stranger", "administrator", "viewer", "editor"):
        assert await seen(scene.viewer(name)) == (0, {})
    with pytest.raises(NotSignedIn):
        await seen(NOBODY)
    told = await scene.outcomes(revoke(scene, row.id))
    # Who does not see an invitation does not find it.
    assert told == {**UNSEEN, "viewer": "NotFound", "editor": "NotFound", "owner": "ok"}
    assert await seen(scene.viewer("owner")) == (0, {})
    refusal = await scene.ask("owner", revoke(scene, uuid7()))
    assert isinstance(refusal, NotFound)
    assert (await scene.events())[-1][0] == "invitation.revoked"


async def test_what_was_accepted_or_has_expired_is_not_open(scene: Scene) -> None:
    row, token = await sent(scene)
    await scene.ask("stranger", accept(scene, token))
    assert isinstance(await scene.ask("owner", revoke(scene, row.id)), NotFound)
    late, _ = await sent(scene, "late@example.com")
    scene.clock.forward(days=8)
    assert isinstance(await scene.ask("owner", revoke(scene, late.id)), NotFound)
    async with scene.db.reading() as rows:
        now = scene.clock.now()
        pages = await invitations.pages(rows, scene.viewer("owner"), [scene.workspace_id], (now, Window(10)))
    assert pages == {}


async def test_another_owner_revokes_what_an_owner_sent(scene: Scene) -> None:
    row, _ = await sent(scene)
    other = await add_person(scene.db, "other")
    await add_member(scene.db, scene.workspace_id, other.id, OWNER)
    async with scene.db.transaction() as tx:
        assert await revoke(scene, row.id)(tx, Viewer(other.id))


async def test_mails_are_counted_before_anything_is_looked_up_and_only_for_who_is_signed_in(scene: Scene) -> None:
    ports = make_ports(scene.clock, {Limit.MAILS_PER_ACCOUNT: Rate(1, 3600)})
    owner = scene.viewer("owner")
    with pytest.raises(NotSignedIn):
        await invitations.count_invitation(ports, NOBODY, STRANGER, FACTS)
    with pytest.raises(InvalidInput):
        await invitations.count_invitation(ports, owner, "nobody", FACTS)
    await invitations.count_invitation(ports, owner, STRANGER, FACTS)
    with pytest.raises(RateLimited):
        await invitations.count_invitation(ports, owner, STRANGER.upper(), FACTS)
    await invitations.count_invitation(ports, owner, "other@example.com", FACTS)
