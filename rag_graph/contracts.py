"""What a part of one's own implements, and the values that it is given and gives. Everything here is public.

| part | protocol | values |
|---|---|---|
| retriever | `Retriever` | `Hit`, `Passage`, `Filters` |
| deep research | `Researcher` | `ResearchRequest`, `Progress` |
| writer | `Writer` | `Assignment`, `Verdict` |
| condenser | `Condenser` | |
| claim checker | `ClaimChecker` | `Claim`, `Sources`, `Support`, `ClaimVerdict` |
| embedder | `Embedder` | `Vectors` |
| index | `Index`, `Snapshot`, `IndexWriter` | `Chunk`, `IndexedFile`, `Ranking` |
| documents | `DocumentStore` | `Document`, `DocumentEntry` |
| run log | `RunLog` | `NewRun`, `Run`, `StartedRun`, `Entry`, `Gap`, `Batch` |
| work of a run | `Work` | `Emit`, `Budget` |
| measuring | `Observer`, `Watch` | |

A chat model is any LangChain `BaseChatModel`, a retriever may be any LangChain `BaseRetriever`, whatever runs like
one, or a `VectorStore`:
`default_parts(settings, chat_model=…, retriever=…)` takes them as they are.
"""

from rag_graph.claims import Claim, ClaimChecker, Sources, Support
from rag_graph.claims import Verdict as ClaimVerdict
from rag_graph.documents import Document, Hit, Passage
from rag_graph.events import Emit
from rag_graph.index import Chunk, DocumentEntry, DocumentStore, Index, IndexedFile, IndexWriter, Ranking, Snapshot
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters
from rag_graph.research import Progress, Researcher, ResearchRequest
from rag_graph.retrieval import Retriever
from rag_graph.runs.attempt import Budget, Work
from rag_graph.runs.log import Batch, Entry, Gap, NewRun, Run, RunLog, StartedRun
from rag_graph.runs.observer import Observer, Watch
from rag_graph.writing.condensing import Condenser
from rag_graph.writing.contract import Assignment, Verdict, Writer

__all__ = [
    "Assignment",
    "Batch",
    "Budget",
    "Chunk",
    "Claim",
    "ClaimChecker",
    "ClaimVerdict",
    "Condenser",
    "Document",
    "DocumentEntry",
    "DocumentStore",
    "Embedder",
    "Emit",
    "Entry",
    "Filters",
    "Gap",
    "Hit",
    "Index",
    "IndexWriter",
    "IndexedFile",
    "NewRun",
    "Observer",
    "Passage",
    "Progress",
    "Ranking",
    "ResearchRequest",
    "Researcher",
    "Retriever",
    "Run",
    "RunLog",
    "Snapshot",
    "Sources",
    "StartedRun",
    "Support",
    "Vectors",
    "Verdict",
    "Watch",
    "Work",
    "Writer",
]
