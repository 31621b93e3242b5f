"""Protocols: how a model is asked, and what its answers are worth. One object each; `registry` lists them."""
