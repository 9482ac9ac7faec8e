"""Rendering: what goes into a style comes out of its parser again."""

import docstring_parser
import pytest
from docstring_parser import DocstringStyle
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.docstring.answer import DocstringAnswer, ParamText, RaiseText
from tasks.docstring.facts import Facts, Param, Raised
from tasks.docstring.improve import improved
from tasks.docstring.options import Style
from tasks.docstring.render import render, yielded
from tests.examples import examples

STYLES: dict[Style, DocstringStyle] = {
    "google": DocstringStyle.GOOGLE,
    "numpy": DocstringStyle.NUMPYDOC,
    "sphinx": DocstringStyle.REST,
    "epytext": DocstringStyle.EPYDOC,
}
WORDS = st.sampled_from(
    ["the", "path", "value:", ":class:", "@param", "`a b`", "x", "of", "-", "2.", "*", ">", "{}", "Returns:", "list"]
)
SENTENCES = st.lists(WORDS, min_size=0, max_size=40).map(lambda words: " ".join(["Tell", *words, "end."]))


def facts(**changed: object) -> Facts:
    base = Facts(
        qualname="f",
        thing="function",
        params=[
            Param(name="path", kind="positional", annotation="str | None", default="None"),
            Param(name="mode", kind="keyword", annotation="Literal['a:b']"),
            Param(name="rest", kind="var_positional"),
            Param(name="more", kind="var_keyword", annotation="int"),
        ],
        returns="dict[str, int]",
        has_return=True,
        raises=[Raised(type="ValueError"), Raised(type="os.error")],
    )
    return base.model_copy(update=changed)


def answer(text: str = "Tell it.", **changed: object) -> DocstringAnswer:
    base = DocstringAnswer(
        summary="Read the path.",
        description=text,
        params=[ParamText(name=name, description=text) for name in ("path", "mode", "rest", "more")],
        returns=text,
        raises=[RaiseText(type="ValueError", condition=text), RaiseText(type="os.error", condition=text)],
    )
    return base.model_copy(update=changed)


def plain(text: str | None) -> str:
    """Without line breaks, markup of code and escapes: what the words are."""
    bare = " ".join((text or "").split()).replace("C{a b}", "`a b`").replace("``", "`")
    return bare.replace("E{lb}", "{").replace("E{rb}", "}")


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=examples(60), deadline=None)
@given(text=SENTENCES, width=st.integers(min_value=40, max_value=100))
def test_every_field_survives_the_style_and_its_parser(style: Style, text: str, width: int) -> None:
    text = text.replace("@param", "@") if style == "epytext" else text  # its parser takes a tag anywhere
    rendered = render(answer(text), facts(), style, width)
    parsed = docstring_parser.parse(rendered, style=STYLES[style])
    assert parsed.short_description == "Read the path."
    assert plain(parsed.long_description) == text
    names = [param.arg_name.lstrip("*") for param in parsed.params]
    assert names == ["path", "mode", "rest", "more"]
    assert {plain(param.description) for param in parsed.params} == {text}
    assert [(r.type_name, plain(r.description)) for r in parsed.raises] == [
        ("ValueError", text),
        ("error" if style == "epytext" else "os.error", text),
    ]
    assert parsed.returns is not None
    assert parsed.returns.type_name == "dict[str, int]"
    assert plain(parsed.returns.description) == text


@pytest.mark.parametrize("style", [*STYLES, "pep257"])
@given(text=SENTENCES)
def test_lines_stay_within_the_width(style: Style, text: str) -> None:
    rendered = render(answer(text), facts(), style, 80)
    assert max(len(line) for line in rendered.splitlines()) <= 80


def test_pep257_is_the_summary_alone() -> None:
    assert render(answer(), facts(), "pep257", 80) == "Read the path."


def test_a_generator_yields_the_element_of_its_annotation() -> None:
    assert yielded("Iterator[tuple[str, int]]") == "tuple[str, int]"
    assert yielded("typing.Generator[dict[str, int], None, str]") == "dict[str, int]"
    assert yielded("int") is None
    rendered = render(
        answer(returns=None, yields="Each one."), facts(returns="Iterator[int]", is_generator=True), "google", 80
    )
    assert "Yields:\n    int: Each one." in rendered


def test_list_items_in_a_description_keep_their_lines() -> None:
    rendered = render(answer("Kinds:\n- one\n- two\n  more\n\nEnd."), facts(), "google", 80)
    assert "Kinds:\n- one\n- two more\n\nEnd." in rendered


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        (
            "Old.\n\nArgs:\n    path: Old text.\n\nNote:\n    Kept.",
            "Old.\n\nArgs:\n    path: Old text.\n    mode: New.\n\nNote:\n    Kept.",
        ),
        (
            "Old.\n\nParameters\n----------\npath\n    Old text.\n\nNotes\n-----\nKept.",
            "Old.\n\nParameters\n----------\npath\n    Old text.\nmode\n    New.\n\nNotes\n-----\nKept.",
        ),
        ("Old.\n\n:param path: Old text.", "Old.\n\n:param path: Old text.\n:param mode: New."),
        ("Old.\n\n@param path: Old text.", "Old.\n\n@param path: Old text.\n@param mode: New."),
        ("Old path.", "Old path.\n\nArgs:\n    mode: New."),
    ],
)
def test_improving_keeps_every_word_and_adds_what_is_missing(existing: str, expected: str) -> None:
    known = [Param(name="path", kind="positional"), Param(name="mode", kind="positional")]
    told = facts(existing=existing, params=known, has_return=False, returns=None, raises=[])
    new = DocstringAnswer(summary="New.", params=[ParamText(name=n, description="New.") for n in ("path", "mode")])
    assert improved(new, told, "google", 80) == expected


def test_epytext_tells_a_generator_that_also_returns_in_one_field_for_its_readers_take_no_two() -> None:
    text = render(answer(yields="The items."), facts(is_generator=True), "epytext", 88)
    (outcome,) = docstring_parser.parse(text, style=DocstringStyle.EPYDOC).many_returns
    assert outcome.is_generator
    assert plain(outcome.description) == "The items. In the end: Tell it."
