"""How a user of a database proves who it is: by a password, or by a token of AWS that is made for each connection."""

from __future__ import annotations

from typing import Literal, Union

from pydantic import ConfigDict

from kitestring.config import Config, option, secret
from kitestring.errors import AuthError, ConfigError


class PasswordLogin(Config):
    """The password of the user."""

    model_config = ConfigDict(title="Password")

    method: Literal["password"] = option("password", order=0)


class RdsLogin(Config):
    """A token of AWS IAM in place of the password, for Amazon RDS and Aurora.

    AWS accepts a token for 15 minutes, at the begin of a connection alone. It is a signed address: it is computed here,
    without a request. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
    """

    model_config = ConfigDict(title="AWS IAM token")

    method: Literal["aws_iam"] = option("aws_iam", order=0)

    region: str = option(order=1, examples=["eu-central-1"], pattern=r"^[a-z0-9-]+$")
    """The region of the database."""

    access_key_id: str | None = secret(None, order=2, title="Access key id")
    """The key id of an IAM user with the right `rds-db:connect`. Default: the credentials of the machine."""

    secret_access_key: str | None = secret(None, order=3, title="Secret access key")
    """The secret of this key."""

    session_token: str | None = secret(None, order=4, title="Session token")
    """The session token of temporary keys."""

    def machine_use(self) -> str | None:
        own = self.access_key_id and self.secret_access_key
        return None if own else "the credentials of the machine, as authentication has no access_key_id"

    def token(self, host: str, port: int, username: str) -> str:
        """A new token for one connection."""
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"authentication aws_iam needs the package {error.name}, which is not installed",
                hint="Install it: pip install 'kitestring[aws]'",
            ) from error
        try:
            session = boto3.session.Session(
                self.access_key_id, self.secret_access_key, self.session_token, region_name=self.region
            )
            client = session.client("rds")
            token: str = client.generate_db_auth_token(host, port, username, Region=self.region)
        except BotoCoreError as error:
            raise AuthError(
                f"AWS gives no token for {username} at {host}: {error}",
                hint="Set `access_key_id` and `secret_access_key`, or give the machine a role.",
            ) from error
        return token


Login = Union[PasswordLogin, RdsLogin]  # noqa: UP007 - a form shows the choices of a Union


def needs_tls(login: Login, mode: str, encrypted: tuple[str, ...]) -> None:
    """`ValueError` where a token could be sent without TLS."""
    if isinstance(login, RdsLogin) and mode not in encrypted:
        raise ValueError(
            f"authentication aws_iam sends a token to the database, and ssl_mode {mode} allows a connection without "
            f"TLS: set ssl_mode to one of {', '.join(encrypted)}"
        )
