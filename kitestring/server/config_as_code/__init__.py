"""Configuration as code: plan and apply a project file, export a workspace."""
