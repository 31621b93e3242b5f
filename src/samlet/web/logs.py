"""Structured logs: a line of JSON for each event, on stderr. Paths without queries, no bodies, no tokens."""

from __future__ import annotations

import json
import logging
import time

LOGGER = "samlet.web"
_FACTS = ("method", "path", "status", "seconds", "bytes", "client", "error")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, event, and the facts that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"
        line = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Let the server's events, and uvicorn's own warnings, appear on stderr; for a process that is the server."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in (LOGGER, "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level if name == LOGGER else logging.WARNING)
