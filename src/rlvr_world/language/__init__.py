"""What text games and web pages share: prompts, answers, transitions in words."""
