"""Messages for models whose chat template is strict: no system message, or turns that alternate, the user's first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Message = dict[str, Any]

_ALTERNATE: Final = re.compile(
    r"\balternat|\bconsecutive\b|\bin a row\b|\bsame role\b|\b(?:start|begin|end)s? with an? \W?user\b"
    r"|\bmessage order\b"
    r"|\bfirst message\b.{0,40}\buser\b|\blength of messages\b.{0,20}\bodd\b|\b(?:odd|even) index\b",
    re.IGNORECASE,
)
_NO_SYSTEM: Final = re.compile(
    r"\b(system|developer)\b.{0,60}\b(not|un(?:supported|expected|known)|invalid|only|isn't|cannot)\b"
    r"|\b(not|un(?:supported|expected|known)|invalid|only)\b.{0,60}\b(system|developer)\b"
    r"|only user and assistant roles|\b(?:be|of|expected)\W{1,3}user\W{1,3}(?:or |and )?\W{0,3}assistant\b"
    r"|\b(?:system|role).{0,20}(?:非法|无效|不支持|不正确|不合法)|不支持.{0,20}system",
    re.IGNORECASE | re.DOTALL,
)
"""Templates raise these with words of their own; those of Gemma, Mistral and their like are in the tests."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a service's chat template takes, as far as it has said so."""

    takes_system: bool = True
    takes_any_order: bool = True

    def learn(self, refusal: str) -> "Template":
        """The template that refuses with these words; the same one if they say nothing of it."""
        if self.takes_any_order and _ALTERNATE.search(refusal):
            return Template(takes_system=self.takes_system, takes_any_order=False)
        if self.takes_system and _NO_SYSTEM.search(refusal):
            return Template(takes_system=False, takes_any_order=False)
        return self

    def fit(self, messages: Sequence[Message]) -> list[Message]:
        """The same words in turns that it takes."""
        fitted: list[Message] = []
        for message in messages:
            role = message["role"]
            if not self.takes_system and role in ("system", "developer"):
                role = "user"
            if not self.takes_any_order:
                if role == "assistant" and (not fitted or fitted[-1]["role"] == "system"):
                    role = "user"  # a conversation that was cut begins with an answer
                if fitted and fitted[-1]["role"] == role and _is_text(message) and _is_text(fitted[-1]):
                    fitted[-1] = {**fitted[-1], "content": f"{fitted[-1]['content']}\n\n{message['content']}"}
                    continue
            fitted.append({**message, "role": role})
        return fitted


def _is_text(message: Message) -> bool:
    return isinstance(message.get("content"), str)
