"""A headless browser that reaches the allowed origins and nothing else."""
