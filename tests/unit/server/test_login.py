"""Logging in: passwords, sessions and their cookies, tokens of applications, and how often one may guess."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jwt
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from kitestring.errors import ConfigError
from kitestring.server.app import create_app
from kitestring.server.auth import password, throttle, user
from kitestring.server.auth.authentication import require_users
from kitestring.server.auth.login_session import COOKIE
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.settings import Settings
from kitestring.server.store.tables import login_failures
from tests.unit.server.tenants import PASSWORD, Browser, Tenant, admin

pytestmark = pytest.mark.slow

EMAIL = "root@example.com"
SESSION = "/api/kitestring/v1/session"


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    admin(context, PASSWORD)
    with TestClient(create_app(context)) as test_client:
        yield test_client


def test_a_session_lasts_from_login_to_logout_and_changes_nothing_without_its_csrf_token(client: TestClient) -> None:
    assert client.get(f"{SESSION}/ways").json() == {"open": False, "password": True, "oidc": None}
    assert client.get(SESSION).status_code == 401
    answer = client.post(f"{SESSION}/login", json={"email": "ROOT@example.com", "password": PASSWORD})
    assert answer.json()["instanceAdmin"] is True
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    csrf = {"X-CSRF-Token": client.get(SESSION).json()["csrfToken"]}
    assert client.post("/v1/applications", json={"name": "x"}).status_code == 403
    assert client.post("/v1/applications", json={"name": "x"}, headers={"X-CSRF-Token": "wrong"}).status_code == 403
    assert client.post("/v1/applications", json={"name": "x"}, headers=csrf).status_code == 200
    crossed = {**csrf, "Origin": "https://evil.example"}
    assert client.post("/v1/applications", json={"name": "x"}, headers=crossed).status_code == 403
    kept = client.cookies[COOKIE]
    assert client.post(f"{SESSION}/logout", headers=csrf).status_code == 204
    client.cookies.set(COOKIE, kept)
    assert client.get(SESSION).status_code == 401


def test_a_new_password_ends_sessions_and_a_disabled_user_is_out_at_once(client: TestClient, context: Context) -> None:
    login = {"email": EMAIL, "password": PASSWORD}
    client.post(f"{SESSION}/login", json=login)
    assert client.get(SESSION).status_code == 200
    with context.store.write() as db:
        row = user.by_email(db, EMAIL)
        assert row is not None
        user.set_password(db, row.id, PASSWORD + "!")
    assert client.get(SESSION).status_code == 401
    client.post(f"{SESSION}/login", json={**login, "password": PASSWORD + "!"})
    basic = base64.b64encode(f"{EMAIL}:{PASSWORD}!".encode()).decode()
    assert client.get(SESSION, headers={"Authorization": f"Basic {basic}"}).status_code == 200
    token = Browser(context, EMAIL).headers["Authorization"]
    with context.store.write() as db:
        other = user.add(db, "other@example.com", None, 1, grants=(user.Grant("instance_admin"),))
        user.disable(db, row.id)
        with pytest.raises(ConfigError, match="last user"):
            user.disable(db, other)
        with pytest.raises(ConfigError, match="last user"):
            user.remove(db, other)
    assert client.get(SESSION).status_code == 401
    assert client.get(SESSION, headers={"Authorization": f"Basic {basic}"}).status_code == 401
    assert client.get(SESSION, headers={"Authorization": token}).status_code == 401


def test_guessing_is_slowed_down_per_account_and_per_address(client: TestClient, context: Context) -> None:
    wrong = {"email": EMAIL, "password": "wrong password"}
    assert client.post(f"{SESSION}/login", json=wrong).status_code == 401
    assert client.post(f"{SESSION}/login", json={**wrong, "email": "nobody@example.com"}).status_code == 401
    with context.store.write() as db:
        db.execute(
            login_failures.update().where(login_failures.c.key == f"account {EMAIL}").values(count=throttle.PER_ACCOUNT)
        )
    answer = client.post(f"{SESSION}/login", json={**wrong, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    with context.store.write() as db:
        db.execute(login_failures.update().values(since_ms=login_failures.c.since_ms - throttle.WINDOW_MS))
    assert client.post(f"{SESSION}/login", json={**wrong, "password": PASSWORD}).status_code == 200
    with context.store.write() as db:
        db.execute(login_failures.delete())
    for number in range(throttle.PER_ADDRESS):
        throttle.count_attempt(context, "testclient", f"{number}@example.com")
    assert client.post(f"{SESSION}/login", json={**wrong, "email": "third@example.com"}).status_code == 429


def test_whoever_has_a_whole_network_of_ipv6_is_one_caller(context: Context) -> None:
    for number in range(throttle.PER_ADDRESS):
        throttle.count_attempt(context, f"2001:db8:1:2::{number:x}", f"{number}@example.com")
    with pytest.raises(Problem, match="too many"):
        throttle.count_attempt(context, "2001:db8:1:2:ffff::1%eth0", "other@example.com")
    throttle.count_attempt(context, "2001:db8:1:3::1", "other@example.com")
    throttle.count_attempt(context, "::ffff:192.0.2.7", "mapped@example.com")
    throttle.count_attempt(context, "192.0.2.7", "plain@example.com")
    with context.store.read() as db:
        mine = login_failures.c.key == "address 192.0.2.7"
        assert db.execute(select(login_failures.c["count"]).where(mine)).scalar_one() == 2


@pytest.mark.usefixtures("production_password_hash")
def test_a_user_that_is_not_there_takes_as_long_as_one_that_is() -> None:
    stored = password.hash_password(PASSWORD)
    assert password.verify_password(PASSWORD, stored)
    assert not password.verify_password(PASSWORD, None)
    assert not password.verify_password("x" * 100_000, stored)
    parameters = [part for part in password._dummy_hash().split("$") if "m=" in part]
    assert parameters == [part for part in stored.split("$") if "m=" in part] == ["m=65536,t=3,p=4"]
    with pytest.raises(ConfigError, match="characters"):
        password.hash_password("short")


@pytest.mark.parametrize("place", ["", "/v1", "/api/public/v1", "/api/v1"])
def test_programs_get_a_token_at_every_place_by_form_and_by_json(context: Context, place: str) -> None:
    email = admin(context)
    client = Browser(context, email)
    created_body = client.post("/v1/applications", json={"name": "ci"}).json()
    pair = {"client_id": created_body["clientId"], "client_secret": created_body["clientSecret"]}
    anyone = TestClient(create_app(context))
    url = f"{place}/applications/token"
    for more in (
        {"data": {"grant_type": "client_credentials", **pair}},
        {"data": pair},
        {"json": pair},
        {"json": {"grant-type": "client_credentials", **pair}},
        {"auth": tuple(pair.values())},
    ):
        body = anyone.post(url, **more).json()  # type: ignore[arg-type]
        assert body["token_type"].lower() == "bearer"
        assert body["expires_in"] == 900
        claims = jwt.decode(body["access_token"], options={"verify_signature": False})
        assert claims["user_id"]
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert anyone.get("/v1/applications", headers=headers).status_code == 200
    assert anyone.post(url, json={**pair, "client_secret": "wrong"}).status_code == 401
    assert anyone.post(url, json={"client_id": pair["client_id"]}).status_code == 400
    assert anyone.post(url, content=b"\xff\xfe[").status_code == 400


def test_a_forged_expired_or_foreign_token_is_refused(context: Context) -> None:
    client = Browser(context, admin(context))
    token = client.headers["Authorization"].partition(" ")[2]
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    forged = [
        jwt.encode(claims, os.urandom(32), algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, None, algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, os.urandom(32), algorithm="HS256"),
        token[:-4] + "AAAA",
    ]
    for item in forged:
        client.headers["Authorization"] = f"Bearer {item}"
        assert client.get("/v1/applications").status_code == 401
    from kitestring.server.auth.token import Claim, issue_token

    client.headers["Authorization"] = (
        f"Bearer {issue_token(context.secret_box, Claim(claims['sub'], claims['user_id']), -60)}"
    )
    answer = client.get("/v1/applications")
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


def test_a_secret_is_shown_once_and_an_application_is_ones_own(context: Context) -> None:
    email = admin(context)
    root = Browser(context, email)
    acme = Tenant.make(context, "acme")
    ada = Browser(context, acme.member("workspace_reader"))
    body = ada.post("/v1/applications", json={"name": "mine"}).json()
    assert len(body["clientSecret"]) > 40
    displayed_body = ada.get(f"/v1/applications/{body['id']}").json()
    assert displayed_body == {**body, "clientSecret": "**********"}
    bob = Browser(context, acme.member("workspace_admin"))
    assert bob.get(f"/v1/applications/{body['id']}").status_code == 404
    assert body["id"] not in bob.get("/v1/applications").text
    assert bob.delete(f"/v1/applications/{body['id']}").status_code == 404
    assert root.delete(f"/v1/applications/{body['id']}").status_code == 200
    pair = {"client_id": body["clientId"], "client_secret": body["clientSecret"]}
    assert ada.post("/applications/token", json=pair).status_code == 401


def test_a_server_without_users_listens_to_this_machine_only(context: Context) -> None:
    require_users(context)
    beyond = replace(
        context,
        settings=Settings(home=context.settings.home, host="0.0.0.0"),
    )
    with pytest.raises(ConfigError, match="no user is configured") as caught:
        require_users(beyond)
    assert "kitestring user add" in caught.value.hint
    admin(context)
    require_users(beyond)


def test_without_users_a_page_of_another_site_and_a_proxy_reach_nothing(context: Context) -> None:
    client = TestClient(create_app(context), client=("127.0.0.1", 5), base_url="http://127.0.0.1:8000")
    url = "/v1/applications"
    assert client.get(url).status_code == 200
    assert client.get(url, headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get(url, headers={"Host": "[::1]:8000"}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8000", ""):
        assert client.get(url, headers={"Host": host}).status_code == 403, host
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert client.get(url, headers={header: "1.2.3.4"}).status_code == 403
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert client.post(url, json={"name": "x"}, headers=headers).status_code == 403, headers
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post(url, json={"name": "x"}, headers=own).status_code == 200


def test_passwords_that_are_tried_at_the_same_moment_are_all_counted(client: TestClient, context: Context) -> None:
    wrong = {"email": "nobody@example.com", "password": "wrong password"}
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: client.post(f"{SESSION}/login", json=wrong).status_code, range(20)))
    assert codes.count(401) == throttle.PER_ACCOUNT
    assert codes.count(429) == 20 - throttle.PER_ACCOUNT
    # Who knows the password is not charged for it.
    for _ in range(3):
        assert client.post(f"{SESSION}/login", json={"email": EMAIL, "password": PASSWORD}).status_code == 200
    with context.store.read() as db:
        counts = dict(db.execute(select(login_failures.c.key, login_failures.c["count"])).all())
    assert counts == {"account nobody@example.com": 10, "address testclient": 10}
