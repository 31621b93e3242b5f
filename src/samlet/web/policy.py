"""What the page may load and run, wherever it lies: from its own place only. It knows no web framework."""

PAGE_POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'wasm-unsafe-eval'; "  # the decoder in the browser is WebAssembly
    "worker-src 'self' blob:; connect-src 'self' blob: data:; img-src 'self' blob: data:; "
    "style-src 'self'; style-src-attr 'unsafe-inline'; "  # labels have colors of their own
    "object-src 'none'; base-uri 'none'; form-action 'self'"
)
"""A Content-Security-Policy."""
