import threading
from base64 import b64encode

import pytest

from kitestring.errors import AuthError, ConfigError
from kitestring.http import Retries, Session
from kitestring.testing.stand_in import Answer, Call, StandIn, route
from kitestring.testing.token_endpoint import TokenEndpoint

ONCE = Retries(attempts=1)
CLIENT = {"client_id": "kite", "client_secret": "string"}


class Vendor(StandIn):
    def __init__(self, **choices):
        super().__init__()
        self.tokens = TokenEndpoint({"kite": "string"}, **choices)

    def authorize(self, call: Call):
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        return None if call.path == "/token" or self.tokens.allows(token) else Answer(401, {"error": "expired"})

    @route("POST", "/token")
    def token(self, call: Call):
        return self.tokens.answer(call)

    @route("GET", "/me")
    def me(self, call: Call):
        return {"name": "me"}


@pytest.fixture
def vendor():
    with Vendor() as server:
        yield server


def ask(vendor, grant="client_credentials", as_json=False, headers=None, **fields):
    body = {"grant_type": grant, **({} if headers else CLIENT), **fields}
    with Session(base_url=vendor.url) as session:
        sent = {"json": body} if as_json else {"form": body}
        return session.request("POST", "/token", headers=headers or {}, policy=ONCE, **sent).json()


def me(vendor, token):
    with Session(base_url=vendor.url) as session:
        return session.request("GET", "/me", headers={"Authorization": f"Bearer {token}"}, policy=ONCE).status


@pytest.mark.parametrize("as_json", [False, True])
def test_client_credentials_give_a_token_that_opens_the_api(vendor, as_json):
    answer = ask(vendor, as_json=as_json)
    assert answer == {
        "access_token": answer["access_token"], "token_type": "bearer", "scope": "read", "expires_in": 60,
    }  # fmt: skip
    assert me(vendor, answer["access_token"]) == 200


def test_the_client_may_sign_in_with_basic():
    basic = {"Authorization": "Basic " + b64encode(b"kite:string").decode()}
    with Vendor(client_in=("header",)) as vendor:
        assert ask(vendor, headers=basic)["access_token"]
        with pytest.raises(AuthError, match="401"):
            ask(vendor)


def test_a_token_ends_after_its_lifetime():
    with Vendor(lifetime_s=0.05) as vendor:
        token = ask(vendor)["access_token"]
        threading.Event().wait(0.06)
        with pytest.raises(AuthError, match="401"):
            me(vendor, token)


def test_a_token_without_expiry_says_null():
    with Vendor(lifetime_s=None) as vendor:
        assert ask(vendor)["expires_in"] is None


def test_a_refresh_ends_the_old_pair_at_once(vendor):
    old = vendor.tokens.granted()
    new = ask(vendor, "refresh_token", refresh_token=old.refresh_token)
    assert me(vendor, new["access_token"]) == 200
    with pytest.raises(AuthError, match="401"):
        me(vendor, old.access_token)
    with pytest.raises(ConfigError, match="invalid_grant"):
        ask(vendor, "refresh_token", refresh_token=old.refresh_token)
    assert [e.status for e in vendor.tokens.exchanges] == [200, 400]
    assert len(vendor.tokens.refreshes) == 1


def test_a_kept_refresh_token_works_again():
    with Vendor(rotation="kept") as vendor:
        old = vendor.tokens.granted()
        for _ in range(2):
            assert ask(vendor, "refresh_token", refresh_token=old.refresh_token)["refresh_token"] == old.refresh_token
        assert me(vendor, old.access_token) == 200


def test_a_code_works_once_and_only_with_its_verifier(vendor):
    from kitestring.testing.token_endpoint import sha256, urlsafe_b64encode

    challenge = urlsafe_b64encode(sha256(b"verifier").digest()).rstrip(b"=").decode()
    code = vendor.tokens.code(challenge=challenge)
    assert ask(vendor, "authorization_code", code=code, code_verifier="verifier")["refresh_token"]
    for wrong in (code, vendor.tokens.code(challenge=challenge)):
        with pytest.raises(ConfigError, match="invalid_grant"):
            ask(vendor, "authorization_code", code=wrong, code_verifier="another")


def test_a_deleted_client_and_a_rotated_secret_are_refused(vendor):
    vendor.tokens.clients["kite"] = "rotated"
    with pytest.raises(AuthError, match="invalid_client"):
        ask(vendor)
    vendor.tokens.clients.clear()
    with pytest.raises(AuthError, match="invalid_client"):
        ask(vendor)


def test_a_scope_that_the_client_does_not_have_is_refused(vendor):
    with pytest.raises(ConfigError, match="invalid_scope"):
        ask(vendor, scope="read write")


def test_the_journal_sees_two_requests_at_once():
    with Vendor(delay_s=0.2) as vendor:
        threads = [threading.Thread(target=ask, args=(vendor,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert vendor.tokens.most_at_once == 2
        ask(vendor)
    assert len(vendor.tokens.of_grant("client_credentials")) == 3
