"""Sampling by a vLLM engine."""
