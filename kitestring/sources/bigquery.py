"""BigQuery: the tables and views of datasets, by Google's client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from kitestring.config import option, secret
from kitestring.facts import Facts, Proposal
from kitestring.sql.alchemy_source import AlchemySource
from kitestring.sql.server_source import ServerSource
from kitestring.vendors.bigquery import credentials_of

if TYPE_CHECKING:
    from sqlalchemy import URL


class Bigquery(ServerSource, AlchemySource):
    """Reads the tables and views of a dataset of BigQuery."""

    facts: ClassVar[Facts] = Facts(
        title="BigQuery",
        network="native",
        programs=False,
        packages=("sqlalchemy_bigquery", "pyarrow", "sqlalchemy"),
        category="database",
        summary="tables and views of BigQuery",
        proposal=Proposal(
            config="project_id: my-project\ndataset_id: shop\ncredentials_json: ${BIGQUERY_CREDENTIALS}\n"
        ),
    )

    project_id: str = option(order=0, title="Project")
    dataset_id: str = option(order=1, title="Dataset")
    """The dataset whose tables are streams."""

    credentials_json: str = secret(order=2, title="Credentials (JSON)")
    """The key of a service account, with the roles BigQuery Data Viewer and Job User."""

    connections: int = option(4, ge=1, le=64, order=3, group="advanced")
    """How many queries read at the same time."""

    _account: Mapping[str, Any] | None = PrivateAttr(default=None)

    def alchemy_url(self) -> URL:
        from sqlalchemy import URL

        query = {"user_supplied_client": "true"}
        return URL.create("bigquery", host=self.project_id, database=self.dataset_id, query=query)

    def connect_args(self) -> Mapping[str, Any]:
        from google.cloud.bigquery import Client, QueryJobConfig

        credentials = credentials_of(self.credentials_json)
        config = QueryJobConfig(default_dataset=f"{self.project_id}.{self.dataset_id}")
        client = Client(project=self.project_id, credentials=credentials, default_query_job_config=config)
        return {"client": client}

    def secret_texts(self) -> Sequence[str]:
        return [self.credentials_json]

    def concurrency(self) -> int:
        return self.connections
