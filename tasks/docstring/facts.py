"""What a job knows of its function: the facts that the prompt shows, and the place that the docstring goes to."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ParamKind = Literal["positional_only", "positional", "var_positional", "keyword", "var_keyword", "field"]
Thing = Literal["function", "method", "property", "class", "module"]

SUMMARY = 200
"""Characters of another definition's first docstring line that a prompt shows."""

STARS: dict[str, str] = {"var_positional": "*", "var_keyword": "**"}


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Param(_Value):
    """A parameter, or a class's field. ``annotation`` and ``default`` are source text."""

    name: str
    kind: ParamKind
    annotation: str | None = None
    default: str | None = None
    use: str = ""  # what the function does with it: "kept as `self.x`"

    @property
    def shown(self) -> str:
        """The name as docstrings write it: ``*args``."""
        return STARS.get(self.kind, "") + self.name


class Raised(_Value):
    """An exception that leaves the function by an explicit ``raise``; ``when`` in words, empty: always or unknown."""

    type: str
    when: str = ""
    message: str = ""  # the literal that it is raised with, quoted


class Owner(_Value):
    """The class around a method."""

    name: str
    bases: list[str] = []
    doc: str = ""


class Facts(_Value):
    """All that the prompt tells beside the source. Nothing in it depends on where the file lies."""

    qualname: str
    thing: Thing
    is_async: bool = False
    params: list[Param] = []
    returns: str | None = None  # annotation
    values: list[str] = []  # expressions that are returned, as far as they are short
    has_return: bool = False  # returns something but None
    is_generator: bool = False
    yields: list[str] = []
    raises: list[Raised] = []
    decorators: list[str] = []
    owner: Owner | None = None
    module_doc: str = ""
    callees: dict[str, str] = {}  # what it calls, is built on or holds -> first line of its docstring
    bases: list[str] = []
    methods: list[str] = []  # a class's; a module's functions and classes
    existing: str = ""  # the docstring to improve

    @property
    def name(self) -> str:
        return self.qualname.rsplit(".", 1)[-1]


class Target(_Value):
    """Where the docstring goes. ``path`` is relative to ``root``; ``ordinal`` tells redefinitions apart, from 1.
    An empty ``qualname`` is the module itself.

    ``essence`` is the digest of the file's code and comments: it stays when other docstrings of the sweep go in.
    """

    root: str
    path: str
    sha256: str
    essence: str
    qualname: str
    ordinal: int = 1
    lineno: int
    end_lineno: int
    indent: int  # columns of the body's indentation
    line_length: int


class JobInput(_Value):
    """A docstring job's input. ``names``: what the module, the class and the function define, for back-ticked names.

    ``needs``: callees whose docstrings this sweep writes first, with their jobs' keys; the facts hold no text of them.
    """

    target: Target
    facts: Facts
    source: str
    names: list[str] = []
    needs: dict[str, str] = {}
