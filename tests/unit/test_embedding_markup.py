import pytest

from tasks.embedding.markup import Markup, clean


def _clean(markup: Markup, text: str) -> str:
    return "".join(line.text for line in clean(markup, iter(text.splitlines(keepends=True)))).strip()


def _headings(markup: Markup, text: str) -> list[str]:
    return [line.text.strip() for line in clean(markup, iter(text.splitlines(keepends=True))) if line.heading]


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("See [the guide](https://x.org/a_(b)) now.", "See the guide now."),
        ('[a](b "title") and [c][d].', "a and c."),
        ("[![build](https://x/badge.svg)](https://ci)", "build"),
        ("![logo](a.png) text", "logo text"),
        ("<https://x.org/a>", "https://x.org/a"),
        ("**bold** and `**code**`", "bold and `**code**`"),
        ("use `d[key](x)` here", "use `d[key](x)` here"),
        ("[`code`](u)", "`code`"),
        ('<p align="center"><b>Hi</b></p>', "Hi"),
        ("List<int> stays", "List<int> stays"),
        ("a <!-- gone --> b", "a  b"),
        ("<!-- one\ntwo\n--> after", "after"),
        ("[ref]: https://x.org", ""),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n\n| 1 | 2 |"),
        ("one\n\n---\n\ntwo", "one\n\ntwo"),
        ("```py\nx = [a](b)\n# no heading\n```", "x = [a](b)\n# no heading"),
        ("~~~\n```\n~~~\n[a](b)", "a"),
        ("---\ntitle: 'The Title'\ntags: [x]\n---\nBody", "The Title\nBody"),
        ("---\n\nBody", "Body"),
        ("snake_case_name and __init__", "snake_case_name and __init__"),
    ],
)
def test_markdown_reads_as_its_reader_sees_it(source: str, read: str) -> None:
    assert _clean(Markup.MARKDOWN, source) == read


def test_markdown_headings_of_both_styles_are_found_and_code_has_none() -> None:
    text = "# One #\n\n```\n# code\n```\n\nTwo\n===\n\ntext\n\nThree\n-----\n\n## [Four](x)\n"

    assert _headings(Markup.MARKDOWN, text) == ["One", "Two", "Three", "Four"]


@pytest.mark.parametrize(
    ("source", "read"),
    [
        (":func:`~pkg.mod.name` and :ref:`text <target>`", "pkg.mod.name and text"),
        ("`Link text <https://x.org>`_ and `other`_", "Link text and other"),
        ("``code`` and **strong**", "code and strong"),
        (".. image:: a.png\n   :alt: x\n\nText", "Text"),
        (".. _target:\n\nText", "Text"),
        (".. |x| image:: y.svg\n   :target: z\n\nText", "Text"),
        (".. a comment\n   over lines\n\nText", "Text"),
        (".. note:: Mind this.\n\n   And this.", "Mind this.\n\n   And this."),
        (".. code-block:: python\n   :linenos:\n\n   x = 1", "x = 1"),
        (".. [1] A footnote.", "A footnote."),
        ("===== =====\na     b\n===== =====", "a     b"),
    ],
)
def test_rst_reads_as_its_reader_sees_it(source: str, read: str) -> None:
    assert _clean(Markup.RST, source) == read


def test_rst_headings_with_and_without_overline_are_found() -> None:
    text = "=====\nTitle\n=====\n\nPart\n----\n\ntext\n"

    assert _headings(Markup.RST, text) == ["Title", "Part"]
    assert _clean(Markup.RST, text) == "Title\n\nPart\n\ntext"


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("<p>One &amp; <b>two</b></p><p>three</p>", "One & two\n\nthree"),
        ("<script>x()</script><style>a{}</style><nav>menu</nav>text", "text"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>x</li><li>y</li></ul>", "x\ny"),
        ("<p>never closed", "never closed"),
        ("no tags at all", "no tags at all"),
        ("<p>a\n   b\t c</p>", "a b c"),
        ("1 < 2 & 3", "1 < 2 & 3"),
    ],
)
def test_html_reads_as_its_reader_sees_it(source: str, read: str) -> None:
    assert _clean(Markup.HTML, source) == read


def test_html_title_and_headings_are_found() -> None:
    text = "<html><head><title>Page</title></head><body><h1>One</h1><p>x</p><h2>Two</h2></body></html>"

    assert _headings(Markup.HTML, text) == ["Page", "One", "Two"]


def test_plain_text_stays_as_it_is() -> None:
    assert _clean(Markup.TEXT, "# a\n\n\n<b> `x` [y](z)") == "# a\n\n\n<b> `x` [y](z)"
