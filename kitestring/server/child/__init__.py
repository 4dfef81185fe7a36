"""The process of a job. Nothing here imports the store."""
