"""The claims of an answer: found as it streams, each checked against the words of its passages."""

from rag_graph.claims.checker import Claim, ClaimChecker, Sources, Support, Verdict
from rag_graph.claims.evidence import Coverage
from rag_graph.claims.ledger import tell_claims
from rag_graph.claims.markers import cited_numbers
from rag_graph.claims.rules import RuleChecker
from rag_graph.claims.stream import CitationStream, cite, facts_of

__all__ = [
    "CitationStream",
    "Claim",
    "ClaimChecker",
    "Coverage",
    "RuleChecker",
    "Sources",
    "Support",
    "Verdict",
    "cite",
    "cited_numbers",
    "facts_of",
    "tell_claims",
]
