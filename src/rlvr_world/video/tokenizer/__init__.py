"""Networks that turn frames into codes and back, and their training."""
