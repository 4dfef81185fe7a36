"""Connections: time limits, closing, proxies and certificates."""

import socket
import ssl
import threading
import time

import pytest
from http_api import CERTIFICATE, Api, Eager

from kitestring.errors import Cancelled, ConfigError, TransientError
from kitestring.http import (
    Retries,
    Return,
    Session,
    Tls,
)
from kitestring.testing.stand_in import Answer


def test_a_connection_can_be_kept_alive_by_probes(api):
    import socket

    with Session(base_url=api.url, keep_alive=True) as session, Session(base_url=api.url) as plain:
        results = []
        for item in (session, plain):
            item.get("/a")
            connection = next(iter(item._pools._connections))
            results.append(connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    assert results == [1, 0]


def test_a_slow_answer_times_out_and_is_retried(api):
    api.faults.next("slow")
    api.faults.slow_s = 5
    with Session(base_url=api.url, timeout_s=0.1, policy=Eager()) as session:
        assert session.get("/a")["path"] == "/a"
    assert len(api.requests) == 2


def test_a_timeout_says_how_long_it_waited(api):
    api.faults.next("slow")
    api.faults.slow_s = 5
    with (
        Session(base_url=api.url, timeout_s=0.1, policy=Retries(attempts=1)) as session,
        pytest.raises(TransientError, match=r"GET http://127.0.0.1:\d+/a did not answer within 0.1 s"),
    ):
        session.get("/a?token=abcdef")


def test_a_refused_connection_names_the_host(api, session):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match=f"127.0.0.1:{port} refuses the connection: .*refused"):
        session.get(f"http://127.0.0.1:{port}/a")


@pytest.mark.parametrize("address", ["ftp://example.org/a", "a/b", "http://["])
def test_an_unusable_address_is_a_config_error(address):
    with Session(proxy="") as session, pytest.raises(ConfigError, match="address"):
        session.get(address)


def test_closing_wakes_a_wait(api):
    api.answers = [Answer(429, {}, {"Retry-After": "600"})]
    session = Session(base_url=api.url)
    caught = []

    def work():
        try:
            session.get("/a")
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not api.requests or not api.requests[0].status:
        time.sleep(0.01)
    time.sleep(0.05)
    session.close()
    thread.join(300)
    assert len(caught) == 1
    with pytest.raises(Cancelled):
        session.get("/a")


@pytest.mark.parametrize("tls", [False, True])
def test_closing_ends_a_read_from_a_silent_server(tls):
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    with Api(tls=context) as api:
        api.faults.slow_s = 600
        session = Session(base_url=api.url, tls=Tls(ca_file=str(CERTIFICATE)), proxy="")
        session.get("/a")
        api.faults.next("slow")
        caught = []

        def work():
            try:
                session.get("/a")
            except Cancelled as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while len(api.requests) < 2:
            time.sleep(0.01)
        session.close()
        thread.join(300)
        assert len(caught) == 1


def test_a_proxy_carries_the_call(api):
    with Api() as proxy:
        proxy.answers = []
        user = proxy.url.replace("http://", "http://me:pass-word-1@")
        with Session(base_url="http://nowhere.invalid", proxy=user, policy=Retries(attempts=1)) as session:
            # The stand-in is no proxy: that it was asked, with the whole address, is what counts.
            session.request("GET", "/a", policy=Accepting())
        (call,) = proxy.requests
        assert call.path == "/a"
        assert call.headers["host"] == "nowhere.invalid"
        assert call.headers["proxy-authorization"].startswith("Basic ")


def test_the_environments_proxy_is_used_unless_no_proxy_names_the_host(api, monkeypatch):
    with Api() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Session() as session:
            session.get(api.url + "/a")
            session.request("GET", "http://nowhere.invalid/b", policy=Accepting())
        assert [c.path for c in api.requests] == ["/a"]
        assert [c.path for c in proxy.requests] == ["/b"]


def test_a_proxy_that_is_down_is_named_as_the_cause():
    with (
        Session(proxy="http://127.0.0.1:9", policy=Retries(attempts=1)) as session,
        pytest.raises(TransientError, match="proxy") as caught,
    ):
        session.get("http://nowhere.invalid/a")
    assert "proxy" in caught.value.hint


class Accepting:
    """Takes every response."""

    def judge(self, attempt, response, error):
        return Return()


@pytest.fixture
def secure():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Api(tls=context) as server:
        yield server


def test_an_unknown_certificate_is_a_config_error_and_not_retried(secure):
    with (
        Session(proxy="") as session,
        pytest.raises(ConfigError, match="certificate that is not trusted") as caught,
    ):
        session.get(secure.url + "/a")
    assert "ca_file" in caught.value.hint


def test_a_private_authority_is_trusted_when_given(secure):
    with Session(tls=Tls(ca_file=str(CERTIFICATE)), proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"


def test_an_authority_can_come_from_the_environment(secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with Session(proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"


def test_verification_can_be_switched_off_and_says_so(secure, caplog):
    with Session(tls=Tls(verify=False), proxy="") as session:
        assert session.get(secure.url + "/a")["path"] == "/a"
    assert "not verified" in caplog.text


def test_a_client_certificate_is_shown():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.load_verify_locations(CERTIFICATE)
    context.verify_mode = ssl.CERT_REQUIRED
    with Api(tls=context) as server:
        tls = Tls(ca_file=str(CERTIFICATE), client_cert=str(CERTIFICATE))
        with Session(tls=tls, proxy="") as session:
            assert session.get(server.url + "/a")["path"] == "/a"
        without = Tls(ca_file=str(CERTIFICATE))
        with Session(tls=without, proxy="", policy=Retries(attempts=1)) as session, pytest.raises(TransientError):
            session.get(server.url + "/a")


def test_a_certificate_file_that_is_none_is_a_config_error(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with Session(tls=Tls(ca_file=str(tmp_path / "ca.pem"))) as session, pytest.raises(ConfigError, match=r"ca\.pem"):
        session.get("https://127.0.0.1:9/")
