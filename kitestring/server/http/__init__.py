"""HTTP beneath the API: middleware, problem responses, the web interface."""
