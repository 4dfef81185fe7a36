"""A pinned Milvus: the address that was checked, and over TLS the name in the certificate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kitestring.destinations.milvus.connection import connect
from kitestring.destinations.milvus.indexing import Indexing
from kitestring.errors import KitestringError

pytestmark = pytest.mark.slow
grpc = pytest.importorskip("grpc")
NAME = "milvus.example"


def certificate(folder: Path) -> tuple[bytes, bytes]:
    """Key and certificate for the name, the certificate in a file too."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = built.public_bytes(encoding)
    (folder / "ca.pem").write_bytes(pem)
    return key.private_bytes(encoding, form, serialization.NoEncryption()), pem


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A gRPC server with TLS on 127.0.0.1 that answers what pymilvus asks when it connects; its port, and one
    without TLS."""
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    class Milvus(milvus_pb2_grpc.MilvusServiceServicer):
        def Connect(self, request: Any, context: Any) -> Any:
            return milvus_pb2.ConnectResponse(identifier=1)

        def GetVersion(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetVersionResponse(version="v2.6.0")

    running = grpc.server(ThreadPoolExecutor(2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Milvus(), running)
    port = running.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate(tmp_path)]))
    plain = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield port, plain
    running.stop(None)


def pinned(host: str, port: int, folder: Path | None = None) -> Indexing:
    tls = {"tls": {"ca_file": str(folder / "ca.pem")}} if folder else {}
    scheme = "https" if folder else "http"
    indexing = Indexing.load({"host": f"{scheme}://{host}:{port}", "collection": "c", "timeout": 2, **tls})
    requests = []

    def resolve(name: str, number: int) -> str:
        requests.append((name, number))
        return "127.0.0.1"

    indexing.pin(resolve)
    assert requests == [(host, port)]
    return indexing


def test_the_address_is_the_checked_one_and_the_certificate_has_to_fit_the_name(
    server: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")
    port, plain = server
    for indexing in (pinned(NAME, port, tmp_path), pinned(NAME, plain)):  # no name server knows it
        client = connect(indexing)
        assert client.get_server_version() == "v2.6.0"
        client.close()
    with pytest.raises(KitestringError):
        connect(pinned("other.example", port, tmp_path))


def test_two_servers_behind_one_address_stay_two_connections(server: tuple[int, int]) -> None:
    """pymilvus shares a connection by its address, which says nothing of the name that is asked for."""
    _, plain = server
    first, second = connect(pinned("first.example", plain)), connect(pinned("second.example", plain))
    assert first._handler is not second._handler
    first.close()
    assert second.get_server_version() == "v2.6.0"
    second.close()
