"""The connectors a workspace can use, and what they may use of the machine."""
