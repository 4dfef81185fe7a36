"""A server with Iceberg's REST API: the calls that a writer of tables makes, in front of a catalog in a file.

It checks the token of each call, gives tokens to one OAuth client, and answers as the specification says.
https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from kitestring.testing.stand_in import Answer, Call, StandIn, route

CLIENT, SECRET, TOKEN = "loader", "s3cret-of-loader", "token-of-the-loader"
PREFIX = "main"


class IcebergRest(StandIn):
    """`before_commit` is called in front of each commit: another program that changes the table."""

    name = "iceberg-rest"

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        from pyiceberg.catalog.sql import SqlCatalog

        folder.mkdir(parents=True, exist_ok=True)
        self.catalog = SqlCatalog("rest", uri=f"sqlite:///{folder / 'rest.db'}", warehouse=f"file://{folder}")
        self.before_commit: Callable[[], None] | None = None
        self.lost_answers = 0
        """How many commits are made, and then answered with 500."""
        self._lock = threading.Lock()

    def authorize(self, call: Call) -> Answer | None:
        if call.path.endswith("/oauth/tokens") or call.headers.get("authorization") == f"Bearer {TOKEN}":
            return None
        return self.refused(401, "NotAuthorizedException", "the token is not known")

    def refused(self, status: int, kind: str, message: str) -> Answer:
        return Answer(status, {"error": {"message": message, "type": kind, "code": status}})

    def refuse(self, status: int, message: str) -> Answer:
        return self.refused(status, "ServerFault", message)

    def absent(self, error: Exception) -> Answer:
        return self.refused(404, type(error).__name__.replace("Error", "Exception"), str(error))

    @route("POST", "/v1/oauth/tokens")
    def tokens(self, call: Call) -> Any:
        form = {name: values[-1] for name, values in parse_qs(call.body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Answer(401, {"error": "invalid_client", "error_description": "unknown client"})
        return {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}

    @route("GET", "/v1/config")
    def config(self, call: Call) -> Any:
        if call.param("warehouse", "lake") != "lake":
            return self.refused(404, "NoSuchWarehouseException", f"no warehouse {call.param('warehouse')}")
        return {"defaults": {}, "overrides": {"prefix": PREFIX}}

    @route("GET", "/v1/main/namespaces")
    def namespaces(self, call: Call) -> Any:
        return {"namespaces": [list(name) for name in self.catalog.list_namespaces()]}

    @route("POST", "/v1/main/namespaces")
    def create_namespace(self, call: Call) -> Any:
        body = call.json()
        self.catalog.create_namespace(tuple(body["namespace"]))
        return {"namespace": body["namespace"], "properties": {}}

    @route("GET", "/v1/main/namespaces/{namespace}")
    def namespace(self, call: Call, namespace: str) -> Any:
        if not self.catalog.namespace_exists((namespace,)):
            return self.refused(404, "NoSuchNamespaceException", f"no namespace {namespace}")
        return {"namespace": [namespace], "properties": {}}

    @route("GET", "/v1/main/namespaces/{namespace}/tables")
    def tables(self, call: Call, namespace: str) -> Any:
        names = self.catalog.list_tables((namespace,))
        return {"identifiers": [{"namespace": [namespace], "name": name[-1]} for name in names]}

    @route("POST", "/v1/main/namespaces/{namespace}/tables")
    def create_table(self, call: Call, namespace: str) -> Any:
        from pyiceberg.exceptions import NoSuchNamespaceError, TableAlreadyExistsError
        from pyiceberg.schema import Schema

        body = call.json()
        try:
            table = self.catalog.create_table(
                (namespace, body["name"]), Schema.model_validate(body["schema"]), properties=body["properties"]
            )
        except NoSuchNamespaceError as error:
            return self.absent(error)
        except TableAlreadyExistsError as error:
            return self.refused(409, "AlreadyExistsException", str(error))
        return self.described(table)

    @route("GET", "/v1/main/namespaces/{namespace}/tables/{table}")
    def table(self, call: Call, namespace: str, table: str) -> Any:
        from pyiceberg.exceptions import NoSuchTableError

        try:
            return self.described(self.catalog.load_table((namespace, table)))
        except NoSuchTableError as error:
            return self.absent(error)

    @route("POST", "/v1/main/namespaces/{namespace}/tables/{table}")
    def commit(self, call: Call, namespace: str, table: str) -> Any:
        from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
        from pyiceberg.table import CommitTableRequest

        hook, self.before_commit = self.before_commit, None
        if hook is not None:
            hook()
        request = CommitTableRequest.model_validate_json(call.body)
        with self._lock:
            try:
                current = self.catalog.load_table((namespace, table))
                self.catalog.commit_table(current, request.requirements, request.updates)
            except NoSuchTableError as error:
                return self.absent(error)
            except CommitFailedException as error:
                return self.refused(409, "CommitFailedException", str(error))
            if self.lost_answers:
                self.lost_answers -= 1
                return self.refused(500, "InternalServerError", "the answer was lost")
            return self.described(self.catalog.load_table((namespace, table)))

    @route("DELETE", "/v1/main/namespaces/{namespace}/tables/{table}")
    def drop_table(self, call: Call, namespace: str, table: str) -> Any:
        from pyiceberg.exceptions import NoSuchTableError

        try:
            self.catalog.purge_table((namespace, table))
        except NoSuchTableError as error:
            return self.absent(error)
        return Answer(204)

    def described(self, table: Any) -> Any:
        metadata = json.loads(table.metadata.model_dump_json())
        return {"metadata-location": table.metadata_location, "metadata": metadata, "config": {}}
