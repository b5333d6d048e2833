"""BERT's vocabulary, which the embedded embedding model and the embedded reader share."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# `[CLS]` and `[SEP]` of BERT's vocabulary.
CLS: Final = 101
SEP: Final = 102
MAX_CHARS: Final = 16_384
"""Far more than a model reads at once, so that a huge text is not tokenised to its end only to be cut."""
_LONGEST_WORD: Final = 100
"""WordPiece takes what is longer for one unknown token; so that it is read, such as base64, it is cut."""


@cache
def tokenizer() -> "Tokenizer":
    """Tokens without the marks at their ends, and however many: shared, so nobody may set anything on it."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers  # noqa: PLC0415 - of `local`

    vocabulary = Path(__file__).parent / "data" / "vocab.txt"
    made = Tokenizer(models.WordPiece.from_file(str(vocabulary), unk_token="[UNK]"))  # noqa: S106 - a token of text
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    cut = pre_tokenizers.Split(Regex(f".{{{_LONGEST_WORD}}}"), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), cut])
    return made


def encodable(text: str) -> str:
    """Cut and clean what the tokenizer would choke on: JSON can carry in a lone surrogate."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8")
