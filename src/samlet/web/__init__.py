"""The server: `create_app` makes an ASGI application of a model. It needs `pip install "samlet[web]"`."""
