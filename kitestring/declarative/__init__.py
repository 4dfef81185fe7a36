"""The low-code language: Airbyte manifests, run as they are."""
