"""A stand-in for Airbyte's connector registry: its index, facts and files per version, as many as a test puts in."""

from __future__ import annotations

from typing import Any

import orjson

from kitestring.testing.stand_in import Answer, Call, StandIn, route

MANIFEST = """\
version: 6.48.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [beasts]}
streams:
  - type: DeclarativeStream
    name: beasts
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "{{ config['url'] }}", path: beasts}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {id: {type: integer}}}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [url]
    properties: {url: {type: string}, key: {type: string, airbyte_secret: true}}
"""
BREAKING = {
    "2.0.0": {
        "message": "The stream animals is\nnow called beasts.",
        "upgradeDeadline": "2027-01-31",
        "migrationDocumentationUrl": "https://docs.example.com/zoo-migrations",
        "scopedImpact": [{"scopeType": "stream", "impactedScopes": ["animals"]}],
    }
}


def entry(name: str, version: str, kind: str = "source", **more: Any) -> dict[str, Any]:
    """An entry with the fields of the public registry that are of use here."""
    return {
        f"{kind}DefinitionId": f"id-of-{name}",
        "name": more.pop("title", name.title()),
        "dockerRepository": f"airbyte/{name}",
        "dockerImageTag": version,
        "documentationUrl": f"https://docs.example.com/{name}",
        "license": "ELv2",
        "supportLevel": "community",
        "language": "manifest-only",
        "tags": ["language:manifest-only", "cdk:low-code"],
        "remoteRegistries": {"pypi": {"enabled": False, "packageName": f"airbyte-{name}"}},
        "tombstone": False,
        "spec": {"connectionSpecification": {"description": "prose that is not kept"}},
        **more,
    }


class Registry(StandIn):
    """`entries` are what the index lists; `files` are by image, version and name."""

    name = "connector registry"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.entries: list[dict[str, Any]] = []
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.index: bytes | None = None

    @property
    def files_url(self) -> str:
        return f"{self.url}/files"

    def publish(self, facts: dict[str, Any], manifest: str = MANIFEST, components: str = "") -> None:
        """A new version: in the index in place of the old one, with its facts and files."""
        self.entries = [old for old in self.entries if old["dockerRepository"] != facts["dockerRepository"]] + [facts]
        key = facts["dockerRepository"].partition("/")[2], facts["dockerImageTag"]
        self.files[*key, "oss.json"] = orjson.dumps(facts)
        if facts["language"] == "manifest-only":
            self.files[*key, "manifest.yaml"] = manifest.encode()
        if components:
            self.files[*key, "components.py"] = components.encode()

    @route("GET", "/files/registries/v0/oss_registry")
    def listed(self, call: Call) -> Any:
        if self.index is not None:
            return Answer(body=self.index)
        kinds = {"sources": "sourceDefinitionId", "destinations": "destinationDefinitionId"}
        return {
            name: [single_entry for single_entry in self.entries if key in single_entry] for name, key in kinds.items()
        }

    @route("GET", "/files/metadata/airbyte/{name}/{version}/{file}")
    def file(self, call: Call, name: str, version: str, file: str) -> Any:
        for suffix in ("", ".json"):
            content = self.files.get((name, version, file + suffix))
            if content is not None:
                return Answer(body=content)
        return Answer(404, {"message": "no such object"})
