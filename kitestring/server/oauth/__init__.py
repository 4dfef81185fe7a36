"""OAuth consents of sources: a user consents at the vendor, and the tokens are sealed into a source."""
