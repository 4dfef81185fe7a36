"""The base of sources that read a database server by its dialect for SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.errors import ConfigError
from kitestring.redact import Redactor
from kitestring.source import Source
from kitestring.sql.alchemy import AlchemyReader
from kitestring.sql.source import SqlSource, TableReader

if TYPE_CHECKING:
    from sqlalchemy import URL


class AlchemySource(SqlSource, Source):
    """A subclass has options, and says by which URL and arguments its driver connects."""

    splits: ClassVar[bool] = True

    def alchemy_url(self) -> URL:
        """The URL, with the password if the driver takes it from there."""
        raise NotImplementedError

    def connect_args(self) -> Mapping[str, Any]:
        """Further arguments of the driver's `connect`."""
        return {}

    def secret_texts(self) -> Sequence[str]:
        """What no message may contain."""
        raise NotImplementedError

    def read_schemas(self) -> Sequence[str | None]:
        """The schemas whose tables are streams; None: that of the connection."""
        return (None,)

    def place(self) -> str:
        url = self.alchemy_url()
        where = url.host or url.get_backend_name()
        return f"{where}/{url.database}" if url.database else where

    def open_reader(self) -> TableReader:
        import sqlalchemy as sa
        from sqlalchemy.exc import NoSuchModuleError

        url = self.alchemy_url()
        try:
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=dict(self.connect_args()))
        except NoSuchModuleError:
            raise ConfigError(
                f"no package is installed that gives SQLAlchemy the dialect {url.drivername}",
                hint="Install it beside Kitestring, or correct the first part of `url`.",
            ) from None
        except ImportError as error:
            raise ConfigError(
                f"the driver of {url.drivername} is not installed: {error.name or error}",
                hint="Install it beside Kitestring, or name another driver: dialect+driver://….",
            ) from None
        return AlchemyReader(engine, self.read_schemas(), Redactor(self.secret_texts()).text, self.place())
