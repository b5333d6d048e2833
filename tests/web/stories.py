"""Runs for the page to show, as their events: two documents, a draft, a refinement, and what can go wrong."""

# ruff: noqa: E501 - texts read best in one piece

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Event = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """The run waits here until the test opens it."""

    name: str


@dataclass(frozen=True)
class Document:
    id: str
    title: str
    uri: str
    content: str

    def passage(self, number: int, words: str) -> Event:
        start = self.content.index(words)
        return {
            "number": number,
            "document": self.id,
            "title": self.title,
            "uri": self.uri,
            "start": start,
            "end": start + len(words),
            "heading": [],
            "score": 0.8,
            "content": words,
        }


@dataclass(frozen=True)
class Cited:
    """A sentence of the answer, and the words of a document behind it; without a marker it was found by checking."""

    sentence: str
    marker: int
    document: Document
    quote: str
    by: Literal["model", "check"] = "model"


@dataclass(frozen=True)
class Doubted:
    sentence: str
    reason: str
    marker: int | None = None


FILLER = "\n".join(
    f"Section {n}. The iron lattice was drawn, cut and riveted with great care, and each girder carried its number."
    for n in range(60)
)
TOWER = Document(
    "d-tower",
    "A history of the tower",
    "notes/tower.md",
    "# The tower 🗼\n\nIt was drawn in 1884 – “naïve”, some said 😀.\n\n"
    + FILLER
    + "\n\nThe tower was built by the company of Gustave Eiffel between 1887 and 1889. It opened on 31 March 1889 and "
    "stands 330 metres tall today.\n\n" + FILLER + "\n\nAbout seven million people climb it each year.\n",
)
COMPANY = Document(
    "d-company",
    "Engineers of the Compagnie des Établissements Eiffel",
    "notes/company.pdf",
    "The idea came from two engineers of the company, Maurice Koechlin and Émile Nouguier, who sketched a great pylon in "
    "May 1884. The architect Stephen Sauvestre gave it its arches.\n",
)
HOSTILE = Document(
    "d-hostile",
    "<img src=x onerror=\"document.title='pwned'\">",
    "javascript:alert(1)",
    "Before. <script>document.title='pwned'</script><b>bold</b> &amp; <img src=x onerror=\"document.title='pwned'\"> after.",
)
GUIDE = Document(
    "d-guide",
    "Setup",
    "docs/linux/setup.md",
    "---\ntitle: Setup\n---\n\n# Setup {#setup}\n\n## Install\n\n### On Linux { #linux }\n\n"
    '**Run** `make install` from <a class="x" href="https://example.org/shell(1)">the *shell*</a>, and wait.\n\n'
    "/// tip | Mind this\n\nDo not run it twice.\n\n///\n\n<script>document.title='pwned'</script>\n\n"
    "<img src=x onerror=\"document.title='pwned'\">\n\n| port | what |\n| --- | --- |\n| 8080 | the page |\n",
)
GUIDED = '**Run** `make install` from <a class="x" href="https://example.org/shell(1)">the *shell*</a>, and wait.'
ONLINE = Document("d-online", "Setup", "https://example.org/setup", "Wait. Then go on.\n")
DOCUMENTS = {document.id: document for document in (TOWER, COMPANY, HOSTILE, GUIDE, ONLINE)}

BUILT = "The tower was built by the company of Gustave Eiffel between 1887 and 1889."
OPENED = "It opened on 31 March 1889 and stands 330 metres tall today."
VISITORS = "About seven million people climb it each year."
SKETCHED = (
    "The idea came from two engineers of the company, Maurice Koechlin and Émile Nouguier, who sketched a great pylon in "
    "May 1884."
)
ARCHES = "The architect Stephen Sauvestre gave it its arches."

QUESTION = "Who designed the Eiffel Tower, and when was it built?"
DRAFT = (
    "The tower 🗼 was built by the company of **Gustave Eiffel** between 1887 and 1889 [1]. It opened on 31 March 1889.\n\n"
    "It was designed by Eiffel himself in a single night."
)
DRAFT_FACTS = (
    Cited("The tower 🗼 was built by the company of **Gustave Eiffel** between 1887 and 1889 [1].", 1, TOWER, BUILT),
    Cited("It opened on 31 March 1889.", 1, TOWER, OPENED, by="check"),
    Doubted("It was designed by Eiffel himself in a single night.", "No passage says this."),
)
REFINED = (
    "The tower 🗼 was built by the company of **Gustave Eiffel** between 1887 and 1889 [1]. It opened on 31 March 1889.\n\n"
    "The design came from two of its engineers, Maurice Koechlin and Émile Nouguier, who sketched it in May 1884 [3]:\n\n"
    "- a great pylon of four lattice girders;\n"
    "- with arches that the architect Stephen Sauvestre added [3][1].\n\n"
    "About seven million people climb it each year [2]."
)
REFINED_FACTS = (
    Cited("The tower 🗼 was built by the company of **Gustave Eiffel** between 1887 and 1889 [1].", 1, TOWER, BUILT),
    Cited("It opened on 31 March 1889.", 1, TOWER, OPENED, by="check"),
    Cited(
        "The design came from two of its engineers, Maurice Koechlin and Émile Nouguier, who sketched it in May 1884 [3]:",
        3,
        COMPANY,
        SKETCHED,
    ),
    Cited("with arches that the architect Stephen Sauvestre added [3][1].", 3, COMPANY, ARCHES),
    Doubted(
        "with arches that the architect Stephen Sauvestre added [3][1].", "The cited passage does not say this.", 1
    ),
    Cited("About seven million people climb it each year [2].", 2, TOWER, VISITORS),
)
FATES: Sequence[Event] = (
    {
        "type": "claim_fate",
        "version": 2,
        "claim": "c1",
        "fate": "confirmed",
        "reason": "Confirmed by 2 more sources.",
        "sources": [2, 3],
        "quote": BUILT,
        "marker": 2,
    },
    {
        "type": "claim_fate",
        "version": 2,
        "claim": "c3",
        "fate": "corrected",
        "before": "It was designed by Eiffel himself in a single night.",
        "after": "It was designed by Maurice Koechlin and Émile Nouguier.",
        "reason": "“Engineers of the Compagnie des Établissements Eiffel” gives another name.",
        "quote": SKETCHED,
        "marker": 3,
    },
    {
        "type": "claim_fate",
        "version": 2,
        "claim": "c4",
        "fate": "withdrawn",
        "before": "Nobody remembers why.",
        "reason": "No passage says this.",
    },
)
CONFLICT: Event = {
    "type": "conflict",
    "message": "The sources disagree.",
    "quotes": [
        {"marker": 1, "title": "Guide 2024", "quote": "The tower is 330 metres tall."},
        {"marker": 2, "title": "Guide 2019", "quote": "The tower is 324 metres tall."},
    ],
}
THOUGHTS = (
    "The question has two parts: who designed the tower, and when it was built. ",
    "The first passages name the company and the years. ",
    "They do not name the engineers, so a second search should look for the people behind the first sketch.",
)


def delta(version: int, words: str) -> Event:
    return {"type": "answer_delta", "version": version, "delta": words}


def started(question: str, *, mode: str = "fast") -> Event:
    return {"type": "run_started", "run_id": "", "question": question, "mode": mode, "attempt": 1}


def step(name: str, description: str, at_ms: float) -> Event:
    return {"type": "step_started", "step": name, "description": description, "at_ms": at_ms}


def done(name: str, outcome: str, at_ms: float) -> Event:
    return {"type": "step_finished", "step": name, "description": outcome, "at_ms": at_ms}


def written(
    version: int, text: str, facts: Sequence[Cited | Doubted] = (), fates: Sequence[Event] = ()
) -> Iterator[Event]:
    """Stream a text word by word, each fact right behind its sentence."""
    yield {"type": "answer_started", "version": version}
    spans = [(text.index(fact.sentence), fact) for fact in facts]
    due = sorted(spans, key=lambda span: span[0] + len(span[1].sentence))
    at = 0
    for words in pieces(text):
        at += len(words)
        yield delta(version, words)
        while due and due[0][0] + len(due[0][1].sentence) <= at:
            start, fact = due.pop(0)
            yield told(version, start, fact)
    yield from fates
    yield {"type": "answer_finished", "version": version}


def told(version: int, start: int, fact: Cited | Doubted) -> Event:
    end = start + len(fact.sentence)
    if isinstance(fact, Doubted):
        place = {"version": version, "start": start, "end": end, "marker": fact.marker}
        return {"type": "unsupported", **place, "reason": fact.reason}
    source = fact.document.content.index(fact.quote)
    return {
        "type": "citation",
        "version": version,
        "marker": fact.marker,
        "start": start,
        "end": end,
        "document": fact.document.id,
        "title": fact.document.title,
        "uri": fact.document.uri,
        "source_start": source,
        "source_end": source + len(fact.quote),
        "quote": fact.quote,
        "attributed_by": fact.by,
        "score": 0.9,
    }


def pieces(text: str) -> Iterator[str]:
    """Words, each with the space before it."""
    at = 0
    while at < len(text):
        end = text.find(" ", at + 1)
        end = len(text) if end < 0 else end
        yield text[at:end]
        at = end


def finished(version: int, answer: str, **timings: float) -> Event:
    times = {"first_event_ms": 2.0, "first_token_ms": 310.0, "first_citation_ms": 620.0, "total_ms": 4180.0}
    return {
        "type": "run_finished",
        "version": version,
        "answer": answer,
        "citations": [],
        "timings": {**times, **timings},
    }


def opening(question: str, *, mode: str = "fast") -> Iterator[Event]:
    yield started(question, mode=mode)
    yield step("fast_retrieve", "Searching the documents", 3.0)
    first = [TOWER.passage(1, f"{BUILT} {OPENED}"), TOWER.passage(2, VISITORS)]
    yield {"type": "passages_retrieved", "stage": "fast", "passages": first}
    yield done("fast_retrieve", "Found 2 passages", 24.0)


def thinking(step_name: str, thoughts: Sequence[str] = THOUGHTS) -> Iterator[Event | Gate]:
    yield {"type": "thinking_started", "step": step_name, "thinker": "model"}
    for number, thought in enumerate(thoughts):
        yield {"type": "thinking_delta", "step": step_name, "delta": thought}
        if number == 0:
            yield Gate("thinking")
    yield {"type": "thinking_finished", "step": step_name, "seconds": 4.2}


def improved(question: str = QUESTION, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """A draft that deeper reading improves."""
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield step("deep_retrieve", "Searching more widely", 26.0)
    if mode == "deep":
        yield from thinking("deep_retrieve")
    yield Gate("draft")
    yield from gated(written(1, DRAFT, DRAFT_FACTS), "mid-draft", after=24)
    yield done("draft", "Drafted an answer", 1710.0)
    yield Gate("deep")
    deep = [
        COMPANY.passage(3, f"{SKETCHED} {ARCHES}"),
        TOWER.passage(1, f"{BUILT} {OPENED}"),
        TOWER.passage(2, VISITORS),
    ]
    yield {"type": "passages_retrieved", "stage": "deep", "passages": deep}
    yield done("deep_retrieve", "Found 1 passage more", 1340.0)
    yield step("decide", "Comparing the draft with what was found since", 1712.0)
    yield CONFLICT
    yield {
        "type": "decided",
        "decision": "refine",
        "checked": True,
        "reason": "a new passage names the engineers who made the design, which the draft gives to Eiffel",
        "new_passages": [3],
    }
    yield done("decide", "The answer is written anew", 2040.0)
    yield step("refine", "Writing the answer from 3 passages", 2041.0)
    yield Gate("refine")
    yield from gated(written(2, REFINED, REFINED_FACTS, FATES), "mid-refinement", after=12)
    yield done("refine", "Wrote the answer", 4170.0)
    yield finished(2, REFINED, refinement_first_token_ms=2300.0)


def gated(events: Iterator[Event], name: str, *, after: int) -> Iterator[Event | Gate]:
    for number, event in enumerate(events):
        if number == after:
            yield Gate(name)
        yield event


def kept(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """A draft that stands."""
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield from gated(written(1, DRAFT, DRAFT_FACTS), "mid-draft", after=8)
    yield done("draft", "Drafted an answer", 1200.0)
    yield step("decide", "Comparing the draft with what was found since", 1201.0)
    yield {
        "type": "decided",
        "decision": "keep",
        "checked": False,
        "reason": "the deeper search found no new evidence",
        "new_passages": [],
    }
    yield done("decide", "The draft stands", 1202.0)
    yield finished(1, DRAFT, total_ms=1210.0)


def failed(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield {"type": "answer_started", "version": 1}
    yield from (delta(1, words) for words in pieces("The tower was built by"))
    yield {"type": "answer_finished", "version": 1}
    yield {
        "type": "run_failed",
        "code": "model_unavailable",
        "message": "The model's service cannot be reached: check that it runs and that its base URL is right.",
        "retryable": True,
        "answer": "The tower was built by",
    }


HOSTILE_ANSWER = (
    "# Heading <img src=x onerror=\"document.title='pwned'\">\n\n"
    "<script>document.title='pwned'</script> and <b>bold</b> [1].\n\n"
    "<div onclick=\"document.title='pwned'\">\n\nclick</div>\n\n"
    "[link](javascript:document.title='pwned') ![image](https://example.org/track.png?q=secret) "
    '<a href="javascript:alert(1)">a</a> `[1] <script>`\n\n'
    "<iframe src=javascript:alert(1)></iframe><style>body{display:none}</style>\n\n"
    "[1]: javascript:alert(1)\n"
)


def hostile(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """Documents, reasons and answers full of markup."""
    yield started(question, mode=mode)
    yield step("draft", "<b>Drafting</b>", 25.0)
    passage = HOSTILE.passage(1, HOSTILE.content)
    yield {"type": "passages_retrieved", "stage": "fast", "passages": [passage]}
    yield {"type": "thinking_started", "step": "draft", "thinker": "model"}
    yield {"type": "thinking_delta", "step": "draft", "delta": "<img src=x onerror=\"document.title='pwned'\">"}
    yield {"type": "thinking_finished", "step": "draft", "seconds": 1.0}
    quote = "<script>document.title='pwned'</script><b>bold</b> &amp;"
    cited = Cited("<script>document.title='pwned'</script> and <b>bold</b> [1].", 1, HOSTILE, quote)
    yield from written(1, HOSTILE_ANSWER, [cited])
    yield done("draft", "<i>Done</i>", 90.0)
    yield finished(1, HOSTILE_ANSWER)


def long(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """About 2,000 tokens of Markdown of every kind, as one stream."""
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield Gate("draft")
    yield from written(1, long_answer())
    yield done("draft", "Drafted an answer", 1200.0)
    yield finished(1, long_answer())


def long_answer() -> str:
    section = (
        "## Part {n}\n\nThe tower was **built** by the company of *Gustave Eiffel* between 1887 and 1889 [1], and it "
        "opened on 31 March 1889 [1][2]. Its lattice carries `{n}` girders, each with a number of its own.\n\n"
        "- first the masonry, then the four feet [2];\n- then the platform and its arches;\n- at last the top.\n\n"
        "| part | height | year |\n|---|---|---|\n| first | 57 m | 1888 |\n| top | 300 m | 1889 |\n\n"
        "```python\nfor girder in range({n}):\n    rivet(girder)  # <b>not bold</b>\n```\n\n"
    )
    return "".join(section.format(n=n) for n in range(1, 17))


TECHNICAL_ANSWER = (
    "The tower was built by the company of Gustave Eiffel between 1887 and 1889 [1]. Its width obeys $w(h)=w_0 e^{-kh}$ "
    "[1], it costs $5 to $6 to climb, and\n\n$$\n\\int_0^{300} w(h)\\,dh\n$$\n\nIt opened on 31 March 1889.\n\n"
    '```python\ndef rivet(girder):  # [1] is no source here\n    return "<b>tight</b>"\n```\n\n'
    "| part | what was said of it when it was built, in the words of those who were there | year | height | weight |\n"
    "|---|---|---|---|---|\n"
    "| feet | masonry that stands on caissons of iron, sunk with compressed air below the level of the river | 1887 | 4 m "
    "| much |\n"
)
TECHNICAL_FACTS = (
    Cited("The tower was built by the company of Gustave Eiffel between 1887 and 1889 [1].", 1, TOWER, BUILT),
    Cited("It opened on 31 March 1889.", 1, TOWER, OPENED, by="check"),
)


def technical(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """Formulas, code and a wide table."""
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield from written(1, TECHNICAL_ANSWER, TECHNICAL_FACTS)
    yield done("draft", "Drafted an answer", 1200.0)
    yield finished(1, TECHNICAL_ANSWER)


def sources(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """Two documents of one title, of which the answer cites some numbers, one of them unproven."""
    answer = "Run make install from the shell [2], then wait [4], and begin [5]."
    yield started(question, mode=mode)
    yield step("draft", "Drafting an answer from 3 passages", 25.0)
    guide = GUIDE.passage(2, GUIDED) | {"heading": ["Setup", "Install", "On Linux"], "place": "line 9"}
    passages = [
        GUIDE.passage(1, "Do not run it twice.") | {"heading": ["Setup", "After it"]},
        guide,
        ONLINE.passage(4, "Wait."),
        GUIDE.passage(5, "8080"),
    ]
    yield {"type": "passages_retrieved", "stage": "fast", "passages": passages}
    facts = [
        Cited("Run make install from the shell [2]", 2, GUIDE, GUIDED),
        Cited("then wait [4]", 4, ONLINE, "Wait."),
    ]
    for event in written(1, answer, facts):
        yield event | ({"place": "line 9"} if event.get("marker") == 2 else {})
    yield finished(1, answer)


NOTHING_FOUND = "The documents hold no passage on this question."


def absent(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """A question that the documents do not answer."""
    yield from opening(question, mode=mode)
    yield from written(1, NOTHING_FOUND)
    reason = "the deeper search found no new evidence"
    yield {"type": "decided", "decision": "keep", "checked": False, "reason": reason, "new_passages": []}
    yield finished(1, NOTHING_FOUND)


def many(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """Forty sources, of titles that are too long."""
    pages = [
        Document(f"d-{n}", f"Volume {n} " + "of the collected papers " * 12, f"papers/{n}.md", f"Paper {n} agrees.\n")
        for n in range(1, 41)
    ]
    yield started(question, mode=mode)
    passages = [page.passage(n, f"Paper {n} agrees.") for n, page in enumerate(pages, 1)]
    yield {"type": "passages_retrieved", "stage": "fast", "passages": passages}
    answer = " ".join(f"Paper {n} agrees [{n}]." for n in range(1, 41))
    yield from written(
        1, answer, [Cited(f"Paper {n} agrees [{n}].", n, p, f"Paper {n} agrees.") for n, p in enumerate(pages, 1)]
    )
    yield finished(1, answer)


def rewritten(question: str, *, mode: str = "fast") -> Iterator[Event | Gate]:
    """A long draft whose refinement adds paragraphs above and changes words everywhere."""
    subjects = ["masonry", "feet", "arches", "girders", "rivets", "lifts", "lamps", "flags"]
    paragraph = (
        "Part {n} is about the {name}: how the {name} were drawn, who paid for the {name}, and where they are now. "
    )
    draft = "\n\n".join((paragraph * 3).format(n=n, name=name) for n, name in enumerate(subjects, 1))
    refined = "The years come first.\n\nThen the people, whom the draft forgot.\n\n" + draft.replace(
        "drawn", "designed"
    )
    yield from opening(question, mode=mode)
    yield step("draft", "Drafting an answer from 2 passages", 25.0)
    yield from written(1, draft)
    yield done("draft", "Drafted an answer", 1200.0)
    yield step("decide", "Comparing the draft with what was found since", 1201.0)
    reason = "new passages tell more"
    yield {"type": "decided", "decision": "refine", "checked": True, "reason": reason, "new_passages": [3]}
    yield Gate("refine")
    yield from written(2, refined)
    yield finished(2, refined)
