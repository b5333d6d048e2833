"""Everything that can go wrong, as a caller meets it.

RagGraphError
├── SettingsError          a setting is missing, misspelt or out of range
├── LibraryError           the library of documents cannot be used
│   ├── IndexNotFound      nothing has been indexed yet
│   ├── IndexMismatch      the index was built with another embedding model
│   ├── IndexDamaged       a file of the index is not as it was written
│   ├── StorageFull        there is no room left to write in
│   └── IndexBusy          another process is indexing into it
├── DocumentUnreadable     one file could not be turned into text
├── RetrievalFailed        a search could not be carried out
├── ModelError             the model gave no usable answer
│   ├── ModelUnavailable   it could not be reached, or its service is failing
│   ├── ModelRefused       it was reached and will not serve us: wrong key, unknown model
│   ├── ModelBusy          it is limiting our rate
│   ├── ModelStalled       it stopped in the middle: silence, a cut connection
│   ├── ModelGarbled       what it sent was no answer: broken data, or nothing at all
│   ├── ModelDeclined      it will not answer this question, or its service's filter withheld the answer
│   └── ContextTooLong     the prompt does not fit the model
├── DocumentNotFound       the library has no document with this id
├── PageNotFound           a page of a document cannot be shown
├── ConversationNotFound   this caller has no conversation with this id
├── ConversationFull       a conversation takes no more questions
├── DatabaseUnavailable what is kept beside the library cannot be read or written
├── UnknownRun             no run has this id
│   └── RunExpired         its log is no longer kept, or was lost with the server that kept it
├── BadCursor              the place to go on from does not exist in that run
├── RunAbandoned           the run was given up after its servers had stopped
├── InvalidRequest         what was sent to the server is no question it understands
│   └── UnknownModel       it asks for a model that is not among those to choose from
├── Unauthorized           no key of this server came with the request
├── HostNotAllowed         it was asked under a name that is not this server's
├── CrossSite              a page of another site made a browser send it
├── BodyTooLarge           its body is larger than this server reads
├── WrongContentType       its body is of a type that this route does not read
├── ServerUnreachable      the server does not answer, or not as one of ours
├── RunRefused             the run was not started
│   ├── KeyMalformed       its idempotency key is empty or too long
│   ├── KeyReused          its idempotency key was used for another question
│   ├── TooManyRuns        as many runs as allowed are going on
│   └── Draining           this server is about to stop
└── LogUnavailable         the store of the runs cannot be reached
"""

from typing import ClassVar, Literal


class RagGraphError(Exception):
    """Base of all errors; its text is one sentence that is safe to show and says what to do."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SettingsError(RagGraphError):
    """Correct the named setting."""

    code = "settings"


class LibraryError(RagGraphError):
    """The library of documents cannot be used as it is."""

    code = "index"


class IndexNotFound(LibraryError):
    """Index some documents first."""

    code = "index_not_found"


class IndexMismatch(LibraryError):
    """Rebuild the index, or set the embedding model it was built with."""

    code = "index_mismatch"


class IndexDamaged(LibraryError):
    """Index the documents anew."""

    code = "index_damaged"


class StorageFull(LibraryError):
    """Make room on the disk."""

    code = "storage_full"


class IndexBusy(LibraryError):
    """Wait for the other indexing run to end."""

    code = "index_busy"
    retryable = True


Unreadable = Literal[
    "unknown kind",
    "too large",
    "no text",
    "encrypted",
    "damaged",
    "time limit",
    "memory limit",
    "unreadable",
]
"""Why a file is skipped."""


class DocumentUnreadable(RagGraphError):
    """The file was skipped; the others were indexed."""

    code = "document_unreadable"

    def __init__(self, message: str = "", kind: Unreadable = "damaged") -> None:
        super().__init__(message)
        self.kind: Unreadable = kind


class RetrievalFailed(RagGraphError):
    """The search broke; asking again may help."""

    code = "retrieval_failed"
    retryable = True


class ModelError(RagGraphError):
    """The model gave no usable answer."""

    code = "model_error"
    retryable = True


class ModelUnavailable(ModelError):
    """Check that the model's service runs and that its base URL is right."""

    code = "model_unavailable"


class ModelRefused(ModelError):
    """Check the API key and the model's name."""

    code = "model_refused"
    retryable = False


class ModelBusy(ModelError):
    """Wait a moment: the model limits how often it may be asked."""

    code = "model_busy"


class ModelStalled(ModelError):
    """The model stopped in the middle of its answer."""

    code = "model_stalled"


class ModelGarbled(ModelError):
    """What the model sent could not be read as an answer."""

    code = "model_garbled"


class ModelDeclined(ModelError):
    """Ask in other words: the model, or its service's filter, would not answer this."""

    code = "model_declined"
    retryable = False


class ContextTooLong(ModelError):
    """Ask a shorter question, or set a model with a larger context."""

    code = "context_too_long"
    retryable = False


class ConversationNotFound(RagGraphError):
    """List the conversations again, or begin a new one."""

    code = "conversation_not_found"


class ConversationFull(RagGraphError):
    """Begin a new conversation."""

    code = "conversation_full"


class DatabaseUnavailable(RagGraphError):
    """Make room on the disk, or check that PostgreSQL runs; questions are answered meanwhile."""

    code = "database_unavailable"
    retryable = True


class UnknownRun(RagGraphError):
    """No run has this id, or its log has expired."""

    code = "unknown_run"


class RunExpired(UnknownRun):
    """Ask again, with the same idempotency key if you had one."""

    code = "run_expired"
    retryable = True


class DocumentNotFound(RagGraphError):
    """Look for the document under another id; it may have been indexed anew."""

    code = "document_not_found"


class PageNotFound(RagGraphError):
    """Look at the document's text: its page cannot be shown."""

    code = "page_not_found"


class BadCursor(RagGraphError):
    """Follow the run from its beginning."""

    code = "bad_cursor"


class RunAbandoned(RagGraphError):
    """The run was given up after its servers had stopped."""

    code = "run_abandoned"
    retryable = True


class InvalidRequest(RagGraphError):
    """Correct the named field."""

    code = "invalid_request"


class UnknownModel(InvalidRequest):
    """Ask one of the models that may be chosen."""

    code = "model_not_found"
    field: ClassVar[str] = "model"


class Unauthorized(RagGraphError):
    """Send one of the server's keys."""

    code = "unauthorized"


class HostNotAllowed(RagGraphError):
    """Ask under a name of the server, or list this one in RAG_ALLOWED_HOSTS."""

    code = "host_not_allowed"


class CrossSite(RagGraphError):
    """Ask from a page of this server, or have the page's origin allowed."""

    code = "cross_site"


class UploadsClosed(RagGraphError):
    """Add documents with `rag-graph index`, or let the server take them: RAG_UPLOADS=true."""

    code = "uploads_closed"


class BodyTooLarge(RagGraphError):
    """Send less: a shorter history, fewer questions at once."""

    code = "body_too_large"


class WrongContentType(RagGraphError):
    """Send JSON, and say so: `Content-Type: application/json`."""

    code = "wrong_content_type"


class ServerUnreachable(RagGraphError):
    """Check that the server runs and that its URL is right; ask again with the same key."""

    code = "server_unreachable"
    retryable = True


class RunRefused(RagGraphError):
    """The run was not started."""

    code = "run_refused"


class KeyMalformed(RunRefused):
    """Send a key of 1 to 255 characters."""

    code = "key_malformed"


class KeyReused(RunRefused):
    """Send a new key with a new question."""

    code = "key_reused"


class TooManyRuns(RunRefused):
    """Wait for a run to end, or cancel one."""

    code = "too_many_runs"
    retryable = True


class Draining(RunRefused):
    """Ask again in a moment: another server, or this one restarted, will answer."""

    code = "draining"
    retryable = True


class LogUnavailable(RagGraphError):
    """Check that Redis runs and that its URL is right."""

    code = "log_unavailable"
    retryable = True
