"""Sources: one file per source; one YAML per low-code source in `manifests/`."""
