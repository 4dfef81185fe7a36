"""PyAirbyte's custom source definitions, unchanged: publishes a manifest, reads its builder project, deploys a source,
publishes a new version and deletes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airbyte.cloud import CloudWorkspace

URL, FOLDER, CLIENT_ID, CLIENT_SECRET, WORKSPACE = sys.argv[1:6]
SECRET = "t0p-s3cret"

workspace = CloudWorkspace(workspace_id=WORKSPACE, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, api_root=URL)
manifest = json.loads((Path(FOLDER) / "manifest.json").read_text())
manifest["spec"] = {
    "type": "Spec",
    "connection_specification": {
        "type": "object",
        "properties": {"token": {"type": "string", "airbyte_secret": True}, "region": {"type": "string"}},
    },
}
published = workspace.publish_custom_source_definition(
    "countries delete-me", manifest_yaml=manifest, testing_values={"token": SECRET, "region": "eu"}
)
assert published.name == "countries delete-me"
assert published.connector_builder_project_id
assert published.connector_builder_project_id in published.definition_url
assert published.has_draft is False
assert published.draft_manifest is None
project = published.get_builder_project_data()
assert project["declarativeManifest"]["manifest"] == manifest, project
assert project["testingValues"]["region"] == "eu"
assert SECRET not in json.dumps(project)

source = published.deploy_source("countries", {"token": SECRET})
changed = {**manifest, "version": "6.1.0"}
updated = published.update_definition(manifest_yaml=changed)
assert str(updated.version) == "2", updated.version
again = workspace.get_custom_source_definition(published.definition_id, definition_type="yaml")
assert again.manifest == changed
assert again.get_builder_project_data(use_cache=False)["builderProject"]["activeDeclarativeManifestVersion"] == 2
workspace.permanently_delete_source(source, safe_mode=False)
again.permanently_delete()
assert not [one for one in workspace.list_custom_source_definitions(definition_type="yaml") if one.name == again.name]
print(json.dumps({"version": int(updated.version), "definition": published.definition_id}))
