"""Web pages: trees, changes, judges, prompts, rewards, data, a browser, an agent."""
