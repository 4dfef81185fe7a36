"""OAuth consents of sources: somebody agrees at the vendor, and the tokens end up, sealed, in a source."""
