"""The code that runs in the process of a job. It never imports the store."""
