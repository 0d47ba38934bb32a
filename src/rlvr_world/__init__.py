"""World models trained by maximum likelihood, then by RL with verifiable rewards."""

__version__ = "0.1.0"
