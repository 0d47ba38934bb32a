"""Codecs: the only place that knows a modality."""
