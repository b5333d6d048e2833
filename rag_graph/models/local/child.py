"""The process that runs a language model out of a GGUF file: `python -P child.py FILE.gguf`.

It reads an API key from the first line of its standard input, answers with one line of JSON that holds the URL
it serves at (or an error), and leaves when that input is closed: when its parent closes it, or is gone.
"""

import json
import os
import signal
import sys
import threading
from typing import Any, Final

CONTEXT_TOKENS: Final = 8192


def main() -> None:
    # Ctrl-C reaches everything in the terminal; the parent says when it has no more use for this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    key = sys.stdin.readline().strip()
    # While the model starts as well: where its library hangs in that, this process would outlive its parent.
    watching = threading.Thread(target=_leave_with_parent)
    watching.start()
    # Spinning barriers collapse when the cores are busy; this must be set before the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        server = _start(sys.argv[1], key)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the parent is to hear of it
        _say({"error": f"{type(exc).__name__}: {exc}"})
        os._exit(1)
    _say({"url": f"{server.listening_address}/v1"})
    # What the library prints from here on would fill a pipe of which the parent has read all that it wants.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    watching.join()


def _leave_with_parent() -> None:
    # Not `sys.exit`, which ends no more than the thread that calls it.
    sys.stdin.read()
    os._exit(0)


def _start(gguf: str, key: str) -> Any:
    import xllamacpp  # type: ignore[import-untyped]  # noqa: PLC0415 - after OMP_WAIT_POLICY; ships no types

    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.model_alias = {"embedded"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.verbosity = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 4
    # Waiting requests hold a thread each, and the health check needs one too.
    params.n_threads_http = 64
    params.kv_unified = True
    # A client that hangs up frees its slot between batches, so batches are short.
    params.n_batch = params.n_ubatch = 256
    params.cache_ram_mib = 256
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = max(1, min(8, os.cpu_count() or 1))
    params.use_jinja = True  # and so the chat template that the file brings
    return xllamacpp.Server(params)


def _say(line: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
