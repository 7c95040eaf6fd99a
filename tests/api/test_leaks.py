"""Secrets go through the real service in every way that a client has, and none of them stays in a row or in the log."""

import asyncio
import json
import re
import time
from base64 import b32decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import select, text
from sqlmodel import col

from db.engine import Database
from db.models import Job, JobState, Record
from domain.totp import code_at
from tests.asking import CREATE_KEY, PASSWORD, SIGNUP, Account, ask, post, sign_up, upload
from tests.backstage import changing
from tests.live import serving
from tests.machine import wait_for
from tests.mailbox import PASSWORD as SMTP_PASSWORD
from tests.mailbox import USER, Mailbox, authenticate, receiving

TOLD_SECRETS = {
    "accessToken",
    "challenge",
    "currentPassword",
    "newPassword",
    "otpauthUri",
    "password",
    "recoveryCodes",
    "refreshToken",
    "secret",
    "token",
}
SERVICE_SECRETS = ("the newest secret of this very service: 4417", "an older secret of this very service: 7726")
BYTES = b"what is in this file is for nobody else: 5561"
FEWEST_CHARACTERS = 10
MAIL_SECONDS = 20
MOST_WAITS = 200
WAIT_SECONDS = 0.1

PAYLOAD = "accessToken refreshToken problems { code }"
LOGIN = f"mutation ($input: LoginInput!) {{ login(input: $input) {{ challenge {PAYLOAD} }} }}"
COMPLETE = f"mutation ($input: CompleteLoginInput!) {{ completeLogin(input: $input) {{ {PAYLOAD} }} }}"
REFRESH = f"mutation ($input: RefreshSessionInput!) {{ refreshSession(input: $input) {{ {PAYLOAD} }} }}"
LOGOUT = "mutation ($input: LogoutInput) { logout(input: $input) { problems { code } } }"
START = "mutation ($input: StartTwoFactorInput!) { startTwoFactor(input: $input) { secret otpauthUri } }"
CONFIRM = "mutation ($input: ConfirmTwoFactorInput!) { confirmTwoFactor(input: $input) { recoveryCodes } }"
DISABLE = "mutation ($input: DisableTwoFactorInput!) { disableTwoFactor(input: $input) { problems { code } } }"
ROTATE = "mutation ($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { secret } }"
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { problems { code } } }"
CREATE = "mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { workspace { id } } }"
INVITE = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { problems { code } } }"
ACCEPT = "mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { problems { code } } }"
VERIFY = "mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) { problems { code } } }"
CHANGE_EMAIL = "mutation ($input: ChangeEmailInput!) { changeEmail(input: $input) { problems { code } } }"
CONFIRM_EMAIL = "mutation ($input: ConfirmEmailInput!) { confirmEmail(input: $input) { problems { code } } }"
CHANGE_PASSWORD = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { problems { code } } }"
ASK_RESET = (
    "mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { problems { code } } }"
)
RESET = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { problems { code } } }"
DELETE = "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { problems { code } } }"
LINK = "query ($id: ID!) { file(id: $id) { downloadUrl } }"


@dataclass(slots=True)
class Secrets:
    """Every secret that a client has sent or was told, whatever became of the request."""

    known: set[str] = field(default_factory=set)

    async def note(self, answer: Response) -> None:
        """Look through a request and its answer."""
        await answer.aread()
        if answer.request.headers.get("content-type") == "application/json":
            self._look(json.loads(answer.request.content))
        if "json" in answer.headers.get("content-type", ""):
            self._look(answer.json())

    def add(self, *secrets: str) -> None:
        """Take secrets that are nowhere told by name."""
        self.known |= {secret for secret in secrets if len(secret) >= FEWEST_CHARACTERS}

    def leaks(self, told: str) -> list[str]:
        """Those that can be read here, as they are or as programs write them."""
        return sorted(secret for secret in self.known if any(form in told for form in _forms(secret)))

    def _look(self, told: Any, name: str = "") -> None:
        if isinstance(told, dict):
            for key, value in told.items():
                self._look(value, key)
        elif isinstance(told, list):
            for value in told:
                self._look(value, name)
        elif isinstance(told, str) and name in TOLD_SECRETS:
            self.add(told)


@dataclass(frozen=True, slots=True)
class Scene:
    """The service from outside."""

    client: AsyncClient
    mailbox: Mailbox
    secrets: Secrets

    async def say(self, query: str, asker: Account | None = None, **given: Any) -> Any:
        """The payload of a mutation."""
        data = await ask(self.client, query, asker, input=given)
        return next(iter(data.values()))

    async def try_out(self, query: str, asker: Account | None = None, **given: Any) -> None:
        """A mutation whose answer does not matter."""
        await post(self.client, query, asker, input=given)

    async def log_in(self) -> Any:
        """The payload of Ada's login."""
        return await self.say(LOGIN, username="ada", password=PASSWORD)

    def mailed_token(self, page: str, recipient: str) -> str:
        """The token of the newest mail to this address with a link to this page."""
        assert wait_for(lambda: self._tokens(page, recipient) != [], MAIL_SECONDS), f"no mail leads to {page}"
        token = self._tokens(page, recipient)[-1]
        self.secrets.add(token)
        return token

    def _tokens(self, page: str, recipient: str) -> list[str]:
        mails = [mail.text for mail in self.mailbox.deliveries if mail.recipients == [recipient]]
        return re.findall(rf"/#{page}=([A-Za-z0-9_-]{{43}})", "".join(mails))


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving(auth_required=True, auth_require_tls=False, authenticator=authenticate) as server:
        yield server


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")
async def test_no_secret_stays_in_rows_or_in_the_log(database_url: str, tmp_path: Path, mailbox: Mailbox) -> None:
    secrets = Secrets()
    secrets.add(*SERVICE_SECRETS, SMTP_PASSWORD, BYTES.decode())
    mailbox.answers["refused@example.org"] = "550 5.1.1 nobody"
    environment = {
        "CAIRN_DATABASE_URL": database_url,
        "CAIRN_LOG_LEVEL": "debug",
        "CAIRN_SMTP_URL": f"smtp://{USER}:{quote(SMTP_PASSWORD, safe='')}@127.0.0.1:{mailbox.port}?starttls=never",
        "CAIRN_MAIL_FROM": "files@example.org",
        "SECRET_KEY": ",".join(SERVICE_SECRETS),
    }
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=30, event_hooks={"response": [secrets.note]}) as client:
            scene = Scene(client, mailbox, secrets)
            ada = await _signing_in(scene)
            await _second_factor(scene, ada)
            await _keys(scene, ada)
            await _invitations(scene, ada)
            await _account(scene)
            await _files(scene, ada)
            await _mistakes(scene)
            await _jobs_end(database_url)
            rows = await _all_rows(database_url)
            await _faults(scene, ada, database_url)
        service.stop()
    log = service.log.read_text()
    assert len(secrets.known) > 40
    assert log.count('"event":"request"') > 40
    assert "Traceback" in log
    assert "ada@example.org" in rows["users"]
    assert secrets.leaks(log) == []
    assert {table: secrets.leaks(told) for table, told in rows.items() if secrets.leaks(told)} == {}


async def _signing_in(scene: Scene) -> Account:
    client = scene.client
    await sign_up(client, "bob")
    ada = await sign_up(client)
    await scene.try_out(SIGNUP, username="no", email="eve@example.org", password="a password of nobody: 1732")
    for password in ("a wrong password: 9923", "x" * 2000 + " a long password: 3141", "a password\0with NUL: 2718"):
        await scene.try_out(LOGIN, username="ada", password=password)
    scene.secrets.add("Password.as-a-name_6674", "password.as.a.mail.8128@example.org")  # people mistake the fields
    await scene.try_out(LOGIN, username="Password.as-a-name_6674", password="any password: 6021")
    await scene.try_out(LOGIN, email="password.as.a.mail.8128@example.org", password="any password: 6021")
    first = await scene.log_in()
    second = await scene.say(REFRESH, refreshToken=first["refreshToken"])
    for token in (first["refreshToken"], second["refreshToken"], "a refresh token that never was one: 1618"):
        await scene.say(REFRESH, refreshToken=token)  # the first was used, which ends the session
    for token in (second["accessToken"], second["accessToken"][:-3], "a bearer that never was one: 1414"):
        scene.secrets.add(token)
        await client.post("/graphql", json={"query": "{ viewer { id } }"}, headers={"Authorization": f"Bearer {token}"})
    await scene.say(LOGOUT, refreshToken=(await scene.log_in())["refreshToken"])
    return ada


async def _second_factor(scene: Scene, ada: Account) -> None:
    await scene.try_out(START, ada, password="not the password: 1123")
    secret = (await scene.say(START, ada, password=PASSWORD))["secret"]
    await scene.try_out(CONFIRM, ada, code="a wrong code: 5813")
    codes = (await scene.say(CONFIRM, ada, code=_code_of(secret, -1)))["recoveryCodes"]
    challenge = (await scene.log_in())["challenge"]
    await scene.try_out(COMPLETE, challenge=challenge, code="a wrong code: 2134")
    assert (await scene.say(COMPLETE, challenge=challenge, code=codes[0]))["problems"] == []
    await scene.try_out(COMPLETE, challenge="a challenge that never was one: 5589", code=codes[0])
    assert (await scene.say(DISABLE, ada, password=PASSWORD, code=codes[1]))["problems"] == []


async def _keys(scene: Scene, ada: Account) -> None:
    client, terms = scene.client, {"name": "a program", "scopes": ["files:read"]}
    made = await scene.say(CREATE_KEY, ada, **terms)
    key_id, secret = made["apiKey"]["id"], made["secret"]
    rotated = (await scene.say(ROTATE, ada, id=key_id))["secret"]
    for given in (secret, rotated, rotated[:-1], f"{rotated}x"):
        scene.secrets.add(given)
        for headers in ({"X-API-Key": given}, {"Authorization": f"Bearer {given}"}, {"Authorization": given}):
            await client.post("/graphql", json={"query": "{ viewer { id } }"}, headers=headers)
        await client.get("/graphql", params={"query": "{ viewer { id } }", "api_key": given})
        await client.get(f"/files/file_{0:032}/download", params={"token": given}, headers={"X-API-Key": given})
    await scene.say(REVOKE, ada, id=key_id)
    await client.post("/graphql", json={"query": "{ viewer { id } }"}, headers={"X-API-Key": rotated})


async def _invitations(scene: Scene, ada: Account) -> None:
    workspace = (await scene.say(CREATE, ada, name="Team"))["workspace"]["id"]
    await scene.say(INVITE, ada, workspaceId=workspace, email="refused@example.org", role="EDITOR")
    await scene.say(INVITE, ada, workspaceId=workspace, email="bob@example.org", role="EDITOR")
    token = scene.mailed_token("accept-invitation", "bob@example.org")
    bob = Account("", "bob", (await scene.say(LOGIN, username="bob", password=PASSWORD))["accessToken"])
    for given in (token[:-1], "a token that never was one: 1442"):
        await scene.try_out(ACCEPT, bob, token=given)
    await scene.try_out(ACCEPT, ada, token=token)
    assert (await scene.say(ACCEPT, bob, token=token))["problems"] == []
    await scene.try_out(ACCEPT, bob, token=token)


async def _account(scene: Scene) -> None:
    carol = await sign_up(scene.client, "carol")
    token = scene.mailed_token("verify-email", "carol@example.org")
    for given in (token[:-1], "a token that never was one: 3524", token, token):
        await scene.try_out(VERIFY, token=given)
    chosen = ["a password that was chosen: 4181", "a password after a reset: 6765"]
    await scene.try_out(CHANGE_PASSWORD, carol, currentPassword="not the password: 1094", newPassword=chosen[0])
    await scene.try_out(CHANGE_PASSWORD, carol, currentPassword=PASSWORD, newPassword="password")
    assert (await scene.say(CHANGE_PASSWORD, carol, currentPassword=PASSWORD, newPassword=chosen[0]))["problems"] == []
    await scene.try_out(CHANGE_EMAIL, carol, email="new@example.org", password="not the password: 1771")
    await scene.say(CHANGE_EMAIL, carol, email="new@example.org", password=chosen[0])
    assert (await scene.say(CONFIRM_EMAIL, token=scene.mailed_token("confirm-email", "new@example.org")))[
        "problems"
    ] == []
    await scene.say(ASK_RESET, email="new@example.org")
    token = scene.mailed_token("reset-password", "new@example.org")
    await scene.try_out(RESET, token=token, password="weak")
    await scene.try_out(RESET, token=token[:-1], password=chosen[1])
    assert (await scene.say(RESET, token=token, password=chosen[1]))["problems"] == []
    await scene.try_out(RESET, token=token, password=chosen[1])
    again = Account("", "carol", (await scene.say(LOGIN, username="carol", password=chosen[1]))["accessToken"])
    await scene.try_out(DELETE, again, password="not the password: 2865")
    assert (await scene.say(DELETE, again, password=chosen[1]))["problems"] == []


async def _files(scene: Scene, ada: Account) -> None:
    client = scene.client
    file = (await upload(client, ada, content=BYTES))["file"]
    await upload(client, ada, content=BYTES, digest="0" * 64)
    await upload(client, ada, "page.png", BYTES)
    url = (await ask(client, LINK, ada, id=file["id"]))["file"]["downloadUrl"]
    link, _, signature = url.partition("&signature=")
    path = link[link.index("/files/") :]
    scene.secrets.add(signature, f"{signature[:-2]}xx")
    assert (await client.get(f"{path}&signature={signature}")).content == BYTES
    await client.head(f"{path}&signature={signature}")
    for wrong in (f"{signature[:-2]}xx", f"{signature}&signature={signature}"):
        await client.get(f"{path}&signature={wrong}")
    await client.get(f"/files/{file['id']}/download", headers=ada.headers)


async def _mistakes(scene: Scene) -> None:
    """Requests that no program should make, with secrets where they do not belong."""
    client, secret = scene.client, "a secret in the wrong place: 4096"
    scene.secrets.add(secret)
    document = f'mutation {{ login(input: {{ username: "ada", password: "{secret}" }}) {{ challenge }} }}'
    for query in (document, document[:-1], document.replace("challenge", "changeling"), document.replace('"ada"', "1")):
        await client.post("/graphql", json={"query": query})
        await client.get("/graphql", params={"query": query})
        await client.post("/graphql", content=json.dumps({"query": query})[:-1])
    for password in ([secret], {"is": secret}, 7):
        await scene.try_out(LOGIN, username="ada", password=password)
    await client.post("/graphql", json={"query": LOGIN, "variables": secret})
    await client.post("/graphql", json={"query": "{ viewer { id } }", "operationName": secret})
    operations = json.dumps({"query": document, "variables": {"password": secret}})
    await client.post("/graphql", data={"operations": operations, "map": secret}, files={"0": (secret, b"x")})
    await client.get("/verify", params={"token": secret})
    await client.post("/nowhere", data={"password": secret}, headers={"Cookie": f"session={secret}"})


async def _faults(scene: Scene, ada: Account, database_url: str) -> None:
    """Every verb that takes or gives a secret, in a service that cannot write what happened."""
    workspace = (await scene.say(CREATE, ada, name="Team"))["workspace"]["id"]
    tokens = await scene.log_in()
    async with changing(database_url) as tx:
        await tx.execute(text("ALTER TABLE events RENAME TO events_away"))
    await scene.try_out(SIGNUP, username="erin", email="erin@example.org", password="a password for later: 1597")
    await scene.try_out(ASK_RESET, email="ada@example.org")
    await scene.try_out(CHANGE_PASSWORD, ada, currentPassword=PASSWORD, newPassword="a password for later: 4636")
    await scene.try_out(CHANGE_EMAIL, ada, email="other@example.org", password=PASSWORD)
    await scene.try_out(LOGIN, username="ada", password=PASSWORD)
    await scene.try_out(LOGIN, username="ada", password="a wrong password: 2584")
    await scene.try_out(REFRESH, refreshToken=tokens["refreshToken"])
    await scene.try_out(START, ada, password=PASSWORD)
    await scene.try_out(CREATE_KEY, ada, name="a program", scopes=["files:read"])
    await scene.try_out(INVITE, ada, workspaceId=workspace, email="dan@example.org", role="EDITOR")
    await scene.try_out(LOGOUT, ada, refreshToken=tokens["refreshToken"])
    async with changing(database_url) as tx:
        await tx.execute(text("ALTER TABLE events_away RENAME TO events"))


def _code_of(secret: str, steps: int = 0) -> str:
    return code_at(b32decode(secret), int(time.time()) // 30 + steps)


async def _jobs_end(database_url: str) -> None:
    """Wait until each mail is sent or given up: one that waits holds its token."""
    database = Database(database_url)
    for _ in range(MOST_WAITS):
        async with database.reading() as rows:
            states = {row.state for row in await rows.all(select(col(Job.state)))}
        if states <= {JobState.DEAD}:
            break
        await asyncio.sleep(WAIT_SECONDS)
    await database.close()
    assert states == {JobState.DEAD}


async def _all_rows(database_url: str) -> dict[str, str]:
    """All that the service remembers, by table."""
    database = Database(database_url)
    async with database.reading() as rows:
        tables = Record.metadata.tables.values()
        found = {table.name: str([tuple(row) for row in await rows.all(select(table))]) for table in tables}
    await database.close()
    return found
