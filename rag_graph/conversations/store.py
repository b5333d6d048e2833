"""Keeps conversations in a database, each caller's apart; callers come hashed. All of it blocks."""
# ruff: noqa: S608 - statements are joined of constants here; every value is bound

import asyncio
import secrets
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

from rag_graph.clock import steady_time
from rag_graph.conversations.base import Bounds, Conversation, KeptTurn, NewTurn, fitted
from rag_graph.database import Database, Execute
from rag_graph.errors import ConversationFull, ConversationNotFound, DatabaseUnavailable
from rag_graph.query import Query
from rag_graph.result import RunResult, run_result
from rag_graph.text.controls import inert_line
from rag_graph.transcript import Transcript

SCHEMA: Final = 1
"""The version of the tables; a database of a newer one is left alone."""
TITLE_CHARS: Final = 200
_FACTS: Final = "CREATE TABLE IF NOT EXISTS facts (name text PRIMARY KEY, value text NOT NULL)"
_TABLES: Final = """
CREATE TABLE conversations (
    caller text NOT NULL, id text NOT NULL, title text NOT NULL, words text NOT NULL,
    created_at double precision NOT NULL, updated_at double precision NOT NULL, size bigint NOT NULL,
    share text UNIQUE, PRIMARY KEY (caller, id));
CREATE INDEX conversations_by_time ON conversations (caller, updated_at);
CREATE TABLE turns (
    caller text NOT NULL, conversation text NOT NULL, id text NOT NULL, follows text NOT NULL, query text NOT NULL,
    run text NOT NULL, asked_at double precision NOT NULL, result text, words text NOT NULL, size bigint NOT NULL,
    PRIMARY KEY (caller, conversation, id),
    FOREIGN KEY (caller, conversation) REFERENCES conversations (caller, id) ON DELETE CASCADE);
CREATE INDEX turns_by_run ON turns (run)
"""
_LISTED: Final = (
    "SELECT c.id, c.title, c.created_at, c.updated_at, coalesce(c.share, ''), "
    "(SELECT count(*) FROM turns t WHERE t.caller = c.caller AND t.conversation = c.id) FROM conversations c "
)
_MATCHING: Final = (
    "AND (strpos(c.words, %s) > 0 OR EXISTS (SELECT 1 FROM turns t "
    "WHERE t.caller = c.caller AND t.conversation = c.id AND strpos(t.words, %s) > 0)) "
)
_MINE: Final = "WHERE caller = %s AND id = %s"
_GONE: Final = "There is no such conversation; it may have been deleted."


class ConversationStore:
    """Conversations by caller. Every method raises `DatabaseUnavailable` where the database fails."""

    def __init__(
        self, database: Database, *, bounds: Bounds | None = None, clock: Callable[[], float] = steady_time
    ) -> None:
        self._database = database
        self.bounds = bounds or Bounds()
        self._clock = clock
        self._opening = Lock()
        self._is_open = False

    def open(self) -> None:
        """Make the tables, unless they are there."""
        with self._opening:
            if self._is_open:
                return
            with self._database.transaction(write=True) as execute:
                execute(_FACTS, ())
                version = execute("SELECT value FROM facts WHERE name = 'schema'", ())
                if not version:  # asked first: making an index waits for all who write, also where it is there
                    # SQLite takes one statement at a time.
                    for statement in _TABLES.split(";"):
                        execute(statement, ())
                    execute("INSERT INTO facts VALUES ('schema', %s)", (str(SCHEMA),))
                elif int(version[0][0]) > SCHEMA:
                    raise DatabaseUnavailable("The conversations were kept by a newer version; upgrade this one.")
            self._is_open = True

    def close(self) -> None:
        self._database.close()

    def check(self, caller: str, conversation: str, *, follows: str, turn: str | None) -> str:
        """The run that a new turn would follow, empty for none.

        Raises `ConversationNotFound` if the turn that it follows is not there, and `ConversationFull`.
        """
        self.open()
        with self._database.transaction() as execute:
            mine = "FROM turns WHERE caller = %s AND conversation = %s"
            preceding = execute(f"SELECT run {mine} AND id = %s", (caller, conversation, follows)) if follows else []
            ((turns, size),) = execute(f"SELECT count(*), coalesce(sum(size), 0) {mine}", (caller, conversation))
            known = execute(f"SELECT 1 {mine} AND id = %s", (caller, conversation, turn)) if turn else []
        if follows and not preceding:
            raise ConversationNotFound("The conversation that this question follows was deleted: begin a new one.")
        if not known and (turns >= self.bounds.turns or size >= self.bounds.conversation_bytes):
            raise ConversationFull("This conversation is as long as one may be: begin a new one.")
        return str(preceding[0][0]) if preceding else ""

    def add(self, caller: str, conversation: str, turn: NewTurn) -> None:
        """Keep a question; the first one begins its conversation. One that is asked again gets its newer run."""
        self.open()
        outline = turn.query.model_copy(update={"history": []}).model_dump_json()
        asked = _words(turn.query.question)
        title = _title(turn.query.question)
        with self._database.transaction(write=True) as execute:
            execute(
                "INSERT INTO conversations VALUES (%s, %s, %s, %s, %s, %s, 0, NULL) ON CONFLICT DO NOTHING",
                (caller, conversation, title, _words(title), turn.asked_at, turn.asked_at),
            )
            # A question that was asked again has no answer until its newer run has one.
            execute(
                "INSERT INTO turns VALUES (%s, %s, %s, %s, %s, %s, %s, NULL, %s, %s) "
                "ON CONFLICT (caller, conversation, id) DO UPDATE SET run = excluded.run, "
                "result = CASE WHEN turns.run = excluded.run THEN turns.result END",
                (caller, conversation, turn.id, turn.follows, outline, turn.run_id, turn.asked_at, asked, len(outline)),
            )
            self._touch(execute, caller, conversation)

    def save(self, result: RunResult) -> bool:
        """Keep what became of a run with the turn that asked for it; False where none has."""
        if not self._database.exists:
            return False
        self.open()
        with self._database.transaction() as execute:
            # Most runs are of no conversation: they are found out without waiting for those who write.
            known = execute("SELECT 1 FROM turns WHERE run = %s", (result.run_id,))
        if not known:
            return False
        kept = fitted(result, self.bounds.result_bytes)
        words = _words(f"{result.question}\n{result.answer}")
        with self._database.transaction(write=True) as execute:
            found = execute(
                "UPDATE turns SET result = %s, words = %s, size = %s WHERE run = %s RETURNING caller, conversation",
                (kept, words, len(kept.encode()) + len(words.encode()), result.run_id),
            )
            for caller, conversation in found:
                self._touch(execute, caller, conversation)
        return bool(found)

    async def record(self, transcript: Transcript) -> None:
        """Keep the end of a run, whoever reads it."""
        await asyncio.to_thread(self.save, run_result(transcript))

    def listed(
        self, caller: str, *, matching: str = "", after: tuple[float, str] | None = None, limit: int = 50
    ) -> Sequence[Conversation]:
        """Those of a caller, the one last touched first, from behind `after`: when that one was touched, and its id."""
        self.open()
        values: list[object] = [caller]
        where = "WHERE c.caller = %s "
        if after:
            where += "AND (c.updated_at, c.id) < (%s, %s) "
            values += after
        if words := _words(matching):
            where += _MATCHING
            values += [words, words]
        with self._database.transaction() as execute:
            rows = execute(
                f"{_LISTED}{where}ORDER BY c.updated_at DESC, c.id DESC LIMIT %s",
                (*values, limit),
            )
        return [Conversation(*row) for row in rows]

    def count(self, caller: str) -> int:
        self.open()
        with self._database.transaction() as execute:
            ((count,),) = execute("SELECT count(*) FROM conversations WHERE caller = %s", (caller,))
        return int(count)

    def get(self, caller: str, conversation: str) -> tuple[Conversation, Sequence[KeptTurn]]:
        """A conversation and its turns, as they were asked. Raises `ConversationNotFound`."""
        return self._read("c.caller = %s AND c.id = %s", (caller, conversation))

    def shared(self, share: str) -> tuple[Conversation, Sequence[KeptTurn]]:
        """The one that was shared under this secret. Raises `ConversationNotFound`."""
        return self._read("c.share = %s", (share,))

    def rename(self, caller: str, conversation: str, title: str) -> Conversation:
        """Raises `ConversationNotFound`."""
        title = _title(title)
        self._change(
            f"UPDATE conversations SET title = %s, words = %s {_MINE}", title, _words(title), caller, conversation
        )
        return self.get(caller, conversation)[0]

    def delete(self, caller: str, conversation: str) -> Sequence[str]:
        """Forget all of it; give the runs that may go on. Raises `ConversationNotFound`."""
        self.open()
        with self._database.transaction(write=True) as execute:
            runs = execute(
                "SELECT run FROM turns WHERE caller = %s AND conversation = %s AND result IS NULL",
                (caller, conversation),
            )
            if not execute(f"DELETE FROM conversations {_MINE} RETURNING id", (caller, conversation)):
                raise ConversationNotFound(_GONE)
        return [run for (run,) in runs]

    def share(self, caller: str, conversation: str) -> str:
        """The secret under which all can read it who may ask this server. Raises `ConversationNotFound`."""
        secret = secrets.token_urlsafe(24)
        ((share,),) = self._change(
            f"UPDATE conversations SET share = coalesce(share, %s) {_MINE}", secret, caller, conversation, gives="share"
        )
        return str(share)

    def unshare(self, caller: str, conversation: str) -> None:
        """Its shared address leads nowhere any more, for good. Raises `ConversationNotFound`."""
        self._change(f"UPDATE conversations SET share = NULL {_MINE}", caller, conversation)

    def _change(self, statement: str, *values: object, gives: str = "id") -> Sequence[tuple[Any, ...]]:
        self.open()
        with self._database.transaction(write=True) as execute:
            found = execute(f"{statement} RETURNING {gives}", values)
        if not found:
            raise ConversationNotFound(_GONE)
        return found

    def _read(self, where: str, values: Sequence[object]) -> tuple[Conversation, Sequence[KeptTurn]]:
        self.open()
        with self._database.transaction() as execute:
            found = execute(f"{_LISTED}WHERE {where}", values)
            turns = execute(
                "SELECT t.id, t.follows, t.query, t.run, t.asked_at, t.result FROM turns t JOIN conversations c "
                f"ON c.caller = t.caller AND c.id = t.conversation WHERE {where} ORDER BY t.asked_at, t.id",
                values,
            )
        if not found:
            raise ConversationNotFound(_GONE)
        return Conversation(*found[0]), [
            KeptTurn(turn_id, follows, Query.model_validate_json(query), run, asked_at, result)
            for turn_id, follows, query, run, asked_at, result in turns
        ]

    def _touch(self, execute: Execute, caller: str, conversation: str) -> None:
        """Note the change, and let the conversations of this caller that do not fit any more make room for it."""
        execute(
            "UPDATE conversations SET updated_at = %s, size = (SELECT coalesce(sum(t.size), 0) FROM turns t "
            f"WHERE t.caller = conversations.caller AND t.conversation = conversations.id) {_MINE}",
            (self._clock(), caller, conversation),
        )
        count = size = 0
        for one, its_size in execute(
            "SELECT id, size FROM conversations WHERE caller = %s ORDER BY updated_at DESC, id DESC", (caller,)
        ):
            count, size = count + 1, size + its_size
            # Never the one that was just touched, however large: its answer was given a moment ago.
            if one != conversation and (count > self.bounds.conversations or size > self.bounds.bytes):
                execute(f"DELETE FROM conversations {_MINE}", (caller, one))


def _title(text: str) -> str:
    line = " ".join(inert_line(text).split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


def _words(text: str) -> str:
    """What is searched in; PostgreSQL takes no NUL."""
    # Folded here, since SQLite's own `lower` knows the letters of ASCII alone.
    return text.replace("\0", " ").casefold()
