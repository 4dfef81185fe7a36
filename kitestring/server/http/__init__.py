"""HTTP beneath the API: middleware, problem answers, the web interface."""
