"""The control plane: API, scheduler and worker over one store, in one process or many. `app.py` assembles."""
