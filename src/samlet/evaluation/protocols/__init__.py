"""Protocols: how a model is asked, and which of its answers counts."""
