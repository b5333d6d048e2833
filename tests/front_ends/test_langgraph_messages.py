"""What a front end shows that folds a graph's messages by the reducer of LangGraph's JavaScript SDK."""

import json
from pathlib import Path
from typing import Any

from tests.front_ends.conftest import Node
from tests.langchain.conftest import ANSWER, ASKED, QUESTION, REFINED, nothing_set, refining

__all__ = ["nothing_set"]


def test_the_refinement_takes_the_drafts_place_and_no_text_is_doubled(node: Node, tmp_path: Path) -> None:
    parts: list[tuple[str, Any]] = []
    for mode, data in refining().stream(ASKED, stream_mode=["messages", "values"]):
        if mode == "messages":
            parts.append((mode, [data[0].model_dump(mode="json"), {}]))
        else:
            parts.append((mode, {"messages": [message.model_dump(mode="json") for message in data["messages"]]}))
    streamed = tmp_path / "streamed.json"
    streamed.write_text(json.dumps(parts))
    states = node.run("langgraph_messages.mjs", str(streamed))
    shown = [state[1]["words"] for state in states if len(state) > 1]
    assert all(ANSWER.startswith(words) for words in shown[:-1])
    assert [message["words"] for message in states[-1]] == [QUESTION, REFINED]
    assert len({state[1]["id"] for state in states if len(state) > 1}) == 1
    assert max(map(len, states)) == 2
