"""Jobs on the worker's side: the leased queue, attempts and their processes, what is kept of them."""
