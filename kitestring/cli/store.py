"""`kitestring store`: copies of the server's store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitestring.cli.extras import needs_server
from kitestring.cli.global_options import cli_context

app = typer.Typer(help="Back up and restore the server's store.", no_args_is_help=True)


@app.command()
def backup(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(help="The file to write. Default: in the folder `backups`.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Copy the store of the data folder into one file. The server may run meanwhile.

    \b
    kitestring store backup
    kitestring store backup /mnt/backups/kitestring.sqlite

    The copy contains sources, destinations, connections, states, users and the history of jobs. Its secrets are
    encrypted. It does not contain the key, the logs of jobs, and the data of destinations.
    """
    from kitestring.errors import ConfigError
    from kitestring.server.store import backup as store_backup

    store, home = store_and_home(ctx)
    target = cli_context(ctx).path(path) if path else None
    if not store.exists():
        raise ConfigError(f"there is no store {store}", hint="Set KITESTRING_HOME to the server's data folder.")
    if target is not None and target.exists() and not force:
        raise ConfigError(f"{target} is there already", hint="Choose another name, or add --force.")
    if target is None:
        from kitestring.server.store import Store

        live_store = Store(f"sqlite:///{store}")
        target = store_backup.backup(live_store)
        live_store.close()
    else:
        store_backup.copy_store(store, target)
    typer.echo(str(target))
    typer.echo(key_notice(home), err=True)


@app.command()
def restore(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(help="A file that `store backup` or an upgrade has written.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Replace the store by a copy. Stop every process of the server first.

    The current store is copied to the folder `backups` first. Changes since the copy was taken are lost: with an older
    state the next sync reads some records again.
    """
    from kitestring.cli.state import confirm
    from kitestring.errors import ConfigError
    from kitestring.server.store import Store
    from kitestring.server.store import backup as store_backup
    from kitestring.server.store.upgrade import exclusive, versions

    store, home = store_and_home(ctx)
    copy = cli_context(ctx).path(path)
    if not copy.is_file():
        raise ConfigError(f"there is no file {copy}", hint=f"Copies are in {store.parent / 'backups'}.")
    store_backup.version_of(copy)
    copied_store = Store(f"sqlite:///{copy}")
    try:
        current, newest = versions(copied_store)  # refuses the store of a newer program
    finally:
        copied_store.close()
    if store.exists():
        confirm(f"Replace {store} with {copy}? The current content of the store is copied first.", yes)
    live_store = Store(f"sqlite:///{store}")
    try:
        with exclusive(live_store):
            before = store_backup.restore(copy, live_store)
    finally:
        live_store.close()
    typer.echo(f"{store} is what {copy} was.")
    if before is not None:
        typer.echo(f"The previous content is in {before}.")
    if current != newest:
        typer.echo("It is of an older version: the next start of the server brings it up to date.", err=True)
    elif lost := sealed_rows(ctx):
        typer.echo(
            f"The secrets of {lost} sources, destinations or other rows were sealed with a key that is not here: "
            f"put it into {home / 'secret.key'} or KITESTRING_SECRET_KEY, or enter them again.",
            err=True,
        )


def store_and_home(ctx: typer.Context) -> tuple[Path, Path]:
    """The file of the store, and the data folder. `ConfigError` for a store on PostgreSQL."""
    needs_server()
    from kitestring.errors import ConfigError
    from kitestring.server.settings import Settings

    settings = Settings.of(home=cli_context(ctx).home.absolute())
    if settings.database_url:
        raise ConfigError(
            "the store is on PostgreSQL, which has its own tools for this",
            hint="pg_dump --format=custom --file=kitestring.dump DATABASE; and pg_restore --clean --dbname=DATABASE.",
        )
    return Path(settings.store_url.removeprefix("sqlite:///")), settings.home


def key_notice(home: Path) -> str:
    """Where the key is without which the secrets of a copy cannot be opened."""
    from kitestring.server.settings import Settings

    where = "KITESTRING_SECRET_KEY" if Settings.of(home=home).secret_key else str(home / "secret.key")
    return f"Its secrets are sealed: keep the key ({where}) too, in another place."


def sealed_rows(ctx: typer.Context) -> int:
    """How many rows of the store have secrets that no key here opens."""
    from kitestring.server.secrets import rekey
    from kitestring.server.secrets.secret_box import SecretBox
    from kitestring.server.settings import Settings
    from kitestring.server.store import Store

    settings = Settings.of(home=cli_context(ctx).home.absolute())
    store = Store(settings.store_url)
    try:
        return rekey.count_unreadable(store, SecretBox.of(settings.secret_key, settings.home))
    finally:
        store.close()
