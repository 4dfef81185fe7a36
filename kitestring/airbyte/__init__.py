"""Airbyte's protocol: messages, manifests run as connectors, foreign connectors."""
