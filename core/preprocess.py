"""What is done to a text before it becomes part of a request."""


def normalise_text(text: str) -> str:
    """Without NUL characters, which PostgreSQL and some providers refuse, and without white space around it."""
    return text.replace("\0", "").strip()
