"""What the page costs a slow phone: `python -m tests.benchmarks.page [--url http://127.0.0.1:8000/] [--rounds 3]`.

Chromium with its processor slowed down to a quarter and its network to DevTools' "Slow 3G" (2 s there and back,
50 kB/s), 360 by 740 pixels, with nothing in its cache. Told are the bytes on the wire, when something was first
painted, when a question could be written, when all was there with what the library holds, and the last two of a
second visit. The server must hold documents.
"""

import argparse
import shutil
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright
from rich.console import Console

SLOW_3G = {"offline": False, "latency": 2_000, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
CPU_RATE = 4
WATCH = """
new MutationObserver(() => {
  if (document.getElementById("question")) globalThis.askable ??= performance.now();
  if (document.querySelector(".inventory:not(:empty)")) globalThis.whole ??= performance.now();
}).observe(document, { childList: true, subtree: true });
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
MINUTES_MS = 300_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        visits = [_visit(browser, arguments.url) for _ in range(arguments.rounds)]
        browser.close()
    console = Console()
    for name in visits[0]:
        console.print(f"{name}: {median(visit[name] for visit in visits):,.0f}")


def _visit(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(MINUTES_MS)
    session = context.new_cdp_session(page)
    weights = _weigh(session)
    session.send("Network.emulateNetworkConditions", SLOW_3G)
    session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_RATE})
    page.add_init_script(WATCH)
    page.goto(url, timeout=MINUTES_MS)
    page.locator(".inventory p").first.wait_for()
    told = {
        "requests": float(len(weights)),
        "bytes": sum(weights.values()),
        "bytes without fonts": sum(size for name, size in weights.items() if not name.endswith(".woff2")),
        "first paint, ms": page.evaluate(PAINTED),
        "askable, ms": page.evaluate("askable"),
        "whole, ms": page.evaluate("whole"),
    }
    page.goto("about:blank")
    page.goto(url, timeout=MINUTES_MS)
    page.locator(".inventory p").first.wait_for()
    told |= {f"{name} on coming back, ms": page.evaluate(name) for name in ("askable", "whole")}
    context.close()
    return told


def _weigh(session: CDPSession) -> dict[str, float]:
    """The bytes on the wire by address, as they come."""
    names: dict[str, str] = {}
    weights: dict[str, float] = {}

    def asked(event: dict[str, Any]) -> None:
        names[event["requestId"]] = event["request"]["url"]

    def ended(event: dict[str, Any]) -> None:
        weights[names[event["requestId"]]] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.loadingFinished", ended)
    session.send("Network.enable")
    return weights


if __name__ == "__main__":
    main()
