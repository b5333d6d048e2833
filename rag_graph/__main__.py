"""The `rag-graph` command as a process: Ctrl-C ends it cleanly from its first import on."""

from rag_graph.interrupts import leaving_at_once


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    with leaving_at_once():
        from rag_graph.cli import main as run  # noqa: PLC0415 - takes a while, in which Ctrl-C is answered already

        run()


if __name__ == "__main__":
    main()
