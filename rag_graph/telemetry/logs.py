"""How the server logs: lines for people, or one JSON object a line for machines; with the run's id, never its text."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

from rag_graph.text.controls import inert, inert_json, inert_line

Format = Literal["text", "json"]


class TextLines(logging.Formatter):
    """A record as a line for people: what it tells of cannot pass for another line, nor steer the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = inert_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return inert(super().format(record))  # an exception's words come from outside as well


class JsonLines(logging.Formatter):
    """A record as one JSON object: when, how grave, who says what, and of which run."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if run_id := getattr(record, "run_id", ""):
            said["run_id"] = run_id
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return inert_json(json.dumps(said, ensure_ascii=False))


def log_config(form: Format, level: str) -> dict[str, Any]:
    """Settings for `logging.config`, of this package and of uvicorn."""
    logger = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        # Else the loggers of all modules that are imported by now would fall silent.
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": TextLines, "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            "json": {"()": JsonLines},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form, "stream": "ext://sys.stderr"}},
        "loggers": {"rag_graph": logger, "uvicorn": logger},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
