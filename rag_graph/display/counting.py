"""Numbers of things, as people write them."""


def counted(number: int, noun: str) -> str:
    """Such as "1 document" and "2 documents"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
