"""Encrypted connections to MySQL, on a real MariaDB with a certificate of its own."""

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from integration.mariadb_server import running

from kitestring.errors import AuthError, ConfigError
from kitestring.vendors.mysql import MysqlConfig
from kitestring.vendors.rds_login import RdsLogin

pytestmark = pytest.mark.slow


def certificate(name, issuer=None, addresses=()):
    """A certificate and its key as PEM texts, by itself or by an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    signed = builder.sign(issuer_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    spelled = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(pem).decode(), spelled.decode(), (subject, key)


@pytest.fixture(scope="module")
def authority():
    return certificate("authority")


@pytest.fixture(scope="module")
def encrypted(mariadb_data, authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    signed, key, _ = certificate("server", authority[2], [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    for name, text in (("ca.pem", authority[0]), ("cert.pem", signed), ("key.pem", key)):
        (folder / name).write_text(text)
    settings = [f"--ssl-{name}={folder / name}.pem" for name in ("ca", "cert", "key")]
    with running(mariadb_data, settings) as server:
        yield server


def is_encrypted(server, mode, **settings):
    config = MysqlConfig.load({**server.config, "database": "x", "ssl_mode": {"mode": mode, **settings}})
    session = config.open()
    with session, session.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return bool(cursor.fetchone()[1])


def test_each_ssl_mode_encrypts_and_checks_what_it_says(encrypted, mariadb_server, authority):
    authorities = {"ca_certificate": authority[0]}
    assert not is_encrypted(encrypted, "disabled")
    assert is_encrypted(encrypted, "preferred")
    assert is_encrypted(encrypted, "required")
    assert is_encrypted(encrypted, "verify_ca", **authorities)
    assert is_encrypted(encrypted, "verify_identity", **authorities)
    assert not is_encrypted(mariadb_server, "preferred")
    stranger, _, _ = certificate("stranger")
    for mode, certificates in (("verify_ca", {}), ("verify_identity", {"ca_certificate": stranger})):
        with pytest.raises(ConfigError, match="fails the checks of `ssl_mode`"):
            is_encrypted(encrypted, mode, **certificates)
    with pytest.raises(ConfigError, match="ssl_mode"):
        is_encrypted(mariadb_server, "required")
    with pytest.raises(ConfigError, match="cannot be read"):
        is_encrypted(encrypted, "verify_ca", ca_certificate="no certificate")


def test_a_client_signs_in_with_its_certificate(encrypted, authority):
    signed, key, _ = certificate("reader", authority[2])
    encrypted.run("CREATE USER certified IDENTIFIED BY 'x' REQUIRE SUBJECT '/CN=reader'")
    config = {**encrypted.config, "database": "x", "username": "certified", "password": "x"}
    mode = {"mode": "verify_ca", "ca_certificate": authority[0], "client_certificate": signed, "client_key": key}
    MysqlConfig.load({**config, "ssl_mode": mode}).open().close()
    with pytest.raises(Exception, match="refuses the password of certified"):
        MysqlConfig.load({**config, "ssl_mode": "required"}).open()


def test_each_session_signs_in_with_a_new_token_of_aws(encrypted, authority, monkeypatch):
    """The server accepts the token of one moment alone, as its password."""
    keys = {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "hunter2"}
    encrypted.run("CREATE USER loader IDENTIFIED BY 'x' REQUIRE SSL")
    config = {**encrypted.config, "database": "x", "username": "loader", "password": None}
    login = {"method": "aws_iam", **keys}
    mode = {"mode": "verify_ca", "ca_certificate": authority[0]}
    mysql = MysqlConfig.load({**config, "ssl_mode": mode, "authentication": login})
    for minute in range(2):
        now = dt.datetime(2026, 1, 1, 0, minute, tzinfo=dt.UTC)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda now=now: now)
        with pytest.raises(AuthError, match="refuses the password of loader"):
            mysql.open()  # the token of the minute before
        token = RdsLogin(**keys).token(mysql.host, mysql.port, "loader")
        encrypted.run(f"ALTER USER loader IDENTIFIED BY '{token}'")
        mysql.open().close()
