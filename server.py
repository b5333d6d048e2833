"""The ASGI app, for `python server.py` and `uvicorn server:app`."""

import sys

from rag_graph.cli import serve
from rag_graph.errors import SettingsError
from rag_graph.server.app import create_app

try:
    app = create_app()
except SettingsError as exc:
    sys.stderr.write(f"rag_graph: {exc}\n")
    sys.exit(2)

if __name__ == "__main__":
    serve()
