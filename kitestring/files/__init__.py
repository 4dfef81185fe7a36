"""What connectors of files share: formats, and the stores that hold them."""
