"""`rag-graph settings`: what may be set."""

import os
import sys


def show_settings() -> None:
    """List every setting with what it means."""
    from dotenv import dotenv_values

    from rag_graph.settings import setting_names, unknown_names
    from rag_graph.text.controls import inert_line

    for name, description in setting_names().items():
        sys.stdout.write(f"{name:32} {description}\n")
    for name in sorted({*unknown_names(os.environ), *unknown_names(dotenv_values(".env"))}):
        sys.stderr.write(f"{inert_line(name)} is set here, but is not a setting of rag-graph.\n")
