"""Notifications: channels of a workspace, and sending."""
