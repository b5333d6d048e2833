"""The ASGI app, for `python server.py` and `uvicorn server:app`."""

import sys

if __name__ == "__main__":
    from rag_graph.cli import main

    main("serve", *sys.argv[1:])
else:
    from rag_graph.errors import SettingsError
    from rag_graph.server.app import create_app

    try:
        app = create_app()
    except SettingsError as exc:
        sys.stderr.write(f"rag_graph: {exc}\n")
        sys.exit(2)
