"""English from identifiers: ``get_user_name`` -> "Get the user name."."""

import re

from tasks.docstring.lexicon import NOUNS, SPELLED, VERBS

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+")


def split(name: str) -> list[str]:
    """The words of a snake_case or CamelCase name, in lower case but for acronyms."""
    return [
        word if len(word) > 1 and word.isupper() and not name.isupper() else word.lower()
        for word in _WORD.findall(name)
    ]


def said(words: list[str]) -> str:
    """Words as prose, abbreviations spelled out."""
    return " ".join(NOUNS.get(word.lower(), word) for word in words)


def noun(name: str) -> str:
    """A name as a noun: ``user_id`` -> "user ID"."""
    return said(split(name)) or "value"


def the(text: str) -> str:
    """With the article, unless there is something in its place."""
    return text if text.startswith(("the ", "a ", "an ", "all", "every ", "each ")) else f"the {text}"


def a(text: str) -> str:
    """With the indefinite article."""
    bare = text.lstrip("`")
    vowel = bare[:1].lower() in "aeiou" and not bare.lower().startswith(
        ("uni", "use", "url", "uri", "utc", "uuid", "eu")
    )
    letter_by_letter = re.match(r"[FHLMNRSX][A-Z]", bare) is not None and not bare.startswith(("JSON", "SQL"))
    return f"{'an' if vowel or letter_by_letter else 'a'} {text}"


def is_plural(text: str) -> bool:
    """Whether a noun phrase reads as more than one thing."""
    head = text.split(" of ", maxsplit=1)[0]
    return head.endswith("s") and not head.endswith(("ss", "us", "is", "ings"))


def verb(word: str) -> str:
    """A verb's imperative as it is spelled."""
    return SPELLED.get(word, word)


def is_verb(word: str) -> bool:
    """Whether a name's first word commands something."""
    return word in VERBS or word in SPELLED


def sentence(text: str) -> str:
    """Capital first, full stop last."""
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def plural(text: str) -> str:
    """A noun's plural, by the rule."""
    if is_plural(text):
        return text
    return text[:-1] + "ies" if text.endswith("y") and text[-2:-1] not in "aeiou" else text + "s"


def third_person(word: str) -> str:
    """The form after "it": ``apply`` -> "applies"."""
    first, _, rest = verb(word).partition(" ")
    if first.endswith("y") and first[-2:-1] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "es" if first.endswith(("s", "sh", "ch", "x", "z", "o")) else "s"
    return f"{first} {rest}".rstrip()


def listed(items: list[str], word: str = "and") -> str:
    """One phrase: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
