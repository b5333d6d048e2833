"""In which form our own protocol is asked for."""

import re
from operator import itemgetter
from typing import Literal

from rag_graph.http.encoding import EVENT_STREAM

Form = Literal["text/event-stream", "application/x-ndjson", "application/json"]
FORMS: tuple[Form, ...] = ("text/event-stream", "application/x-ndjson", "application/json")
# RFC 9110, 12.4.2; what is written otherwise has no weight, and counts in full.
_WEIGHT = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII)


def form_of(accept: str) -> Form:
    """The form that the header likes best, of equals the first; events when it names none."""
    # Sorting is stable also in reverse, so that of equals the first stays first.
    ranked = sorted(map(_weighed, accept.split(",")), key=itemgetter(1), reverse=True)
    return next((form for name, weight in ranked for form in FORMS if form == name and weight > 0), EVENT_STREAM)


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [value for value in parameters if _WEIGHT.fullmatch(value)]
    return name, float(weights[0][2:]) if weights else 1.0
