"""A real browser on web pages that are not trusted: environments, policies and recordings."""
