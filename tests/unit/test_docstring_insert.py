"""Insertion: everything else stays, to the byte, and code that lives on its docstring is left alone."""

import ast
import io
import tokenize

import pytest

from tasks.docstring import textfile
from tasks.docstring.definitions import definitions, docstring_node
from tasks.docstring.insert import Doc, Inserted, insert

LONG = 'Say "it" with \\d and """ inside, end "q"'
TEXTS = {
    "short": "Do it.",
    "awkward": LONG,
    "sections": "Do it.\n\nArgs:\n    x: `\\n` or \\",
    "too long for its line": "x" * 100,
}
SOURCES = {
    "crlf, no newline at the end": b"x = 1\r\ndef f():\r\n    return 1",
    "byte order mark, one line": b"\xef\xbb\xbfdef f(): return 1",
    "latin-1": b'# -*- coding: latin-1 -*-\nx = "\xe9"\ndef f(): pass\n',
    "tabs": b"class A:\n\tdef f(self):\n\t\treturn 1\n",
    "form feeds": b"\x0c\ndef f():\n    pass\n\x0c\nclass A: x = 1; y = 2  # c\n",
    "form feed in the indentation": b"def f():\n\x0c    return 1\n",
    "carriage returns alone": b"x = 1\rdef f():\r    pass\r",
    "backslash behind the colon": b"def f(): \\\n    return 1\n",
    "comments in the header": b"def f(a, # c: x\n  b=lambda: 0, # d\n  ): # e\n    # first\n    return 1\n",
    "type comment": b"def f(a):\n    # type: (int) -> int\n    return a\n",
    "fmt": b"# fmt: off\ndef  f( a ) :   return  a # fmt: skip\n# fmt: on\n",
    "nested": b"def f():\n  def g():\n     class H:\n            pass\n  return g\n",
    "annotations": b'@a(1,\n 2)\n# c\nasync def f(a: "x: y" = {1: 2}, *b, c: int = (3), **d) -> dict[str, int]: g()\n',
    "class header": b"class A(B, metaclass=C(x=1)): # c\n\n    x = 1\n",
    "decorated first member": b"class A():\n    @d\n    def f(self): ...\n    y=1\n",
    "mixed line ends": b"def f():\r\n    pass\ndef g():\n    pass\r\n",
    "empty docstring": b"def f():\n    ''\n",
    "semicolons": b"class A: x = 1; y = 2\n",
    "names beyond ASCII": 'def f(é="ü", ß=1): return "ä"\nclass Ä(é): x = 1\n'.encode(),
    "redefinitions": b"if 1:\n    def f(): pass\nelse:\n    def f(): return 2\n",
    "return annotation over lines": b"def f() -> (\n   int\n):\n    pass\n",
    "markers in the signature": b"def f(a, /, *, b): pass\ndef g(*, a=1): pass\ndef h(a, /): pass\n",
    "separators that end no line": b'x = "\x0b \x1c"\ndef f(): return "\xc2\x85\xe2\x80\xa8"\ndef g():\n    return 1\n',
    "bytes first": b'def f():\n    b"x"\n    f"{1}"\n',
    "tabs behind blanks": b"if 1:\n  \tdef f():\n  \t\tpass\n",
}


def documented(data: bytes, text: str = "Do it.", *, replace: bool = False) -> tuple[textfile.TextFile, Inserted]:
    file = textfile.decode(data)
    docs = [
        Doc(qualname=d.qualname, ordinal=d.ordinal, text=text, line_length=88, replace=replace)
        for d in definitions(textfile.parse(file.text))
    ]
    return file, insert(file, docs)


def code(text: str) -> str:
    tree = ast.parse(text)
    for definition in definitions(tree):
        if docstring_node(definition.node) is not None:
            definition.node.body = definition.node.body[1:]
    return ast.dump(tree)


def comments(text: str) -> list[str]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return [t.string for t in tokenize.generate_tokens(io.StringIO(plain).readline) if t.type == tokenize.COMMENT]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("data", SOURCES.values(), ids=SOURCES)
def test_only_docstrings_are_added_whatever_the_file_looks_like(data: bytes, text: str) -> None:
    file, inserted = documented(data, text)
    assert not inserted.refused
    assert code(inserted.text) == code(file.text)
    assert comments(inserted.text) == comments(file.text)
    assert {d.docstring for d in definitions(ast.parse(inserted.text))} == {text}
    assert file.encode(inserted.text).startswith(b"\xef\xbb\xbf") == data.startswith(b"\xef\xbb\xbf")


BLOCKS = (
    "crlf, no newline at the end",
    "tabs",
    "form feed in the indentation",
    "carriage returns alone",
    "comments in the header",
    "type comment",
    "nested",
    "class header",
    "mixed line ends",
    "return annotation over lines",
    "bytes first",
    "tabs behind blanks",
)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_old_line_stays_as_it_was_where_bodies_are_blocks(name: str) -> None:
    file, inserted = documented(SOURCES[name])
    new = iter(inserted.text.splitlines(keepends=True))
    assert all(line in new for line in file.text.splitlines(keepends=True))


@pytest.mark.parametrize("data", SOURCES.values(), ids=SOURCES)
def test_a_second_run_changes_nothing(data: bytes) -> None:
    file, first = documented(data)
    _, second = documented(file.encode(first.text))
    assert second.text == first.text
    assert not second.done
    assert len(second.present) == len(first.done)


def test_line_ends_of_the_file_are_used_in_the_docstring() -> None:
    _, inserted = documented(b"def f():\r\n    return 1\r\n", "Do it.\n\nSlowly.")
    assert inserted.text == 'def f():\r\n    """Do it.\r\n\r\n    Slowly.\r\n    """\r\n    return 1\r\n'


def test_a_character_that_the_encoding_lacks_refuses_that_function_alone() -> None:
    file = textfile.decode(b"# coding: latin-1\ndef f(): pass\ndef g(): pass\n")
    docs = [
        Doc(qualname="f", ordinal=1, text="Snow \u2603.", line_length=88),
        Doc(qualname="g", ordinal=1, text="Fine.", line_length=88),
    ]
    inserted = insert(file, docs)
    assert inserted.done == ("g",)
    assert [refusal.qualname for refusal in inserted.refused] == ["f"]
    assert "iso-8859-1" in inserted.refused[0].reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("@cli.command()\ndef f(): pass\n", "help"),
        ("@click.group\ndef f(): pass\n", "help"),
        ("app.command()(f)\ndef f(): pass\n", "help"),
        ("import typer\ndef f(): pass\ntyper.run(f)\n", "help"),
        ("def f(): pass\nparser = ArgumentParser(description=f.__doc__)\n", "__doc__"),
        ("def f(): pass\nprint(inspect.getdoc(f))\n", "__doc__"),
        ("class f:\n    def g(self): return self.__doc__\n", "__doc__"),
        ("class f:\n    __doc__ = 'x'\n", "__doc__"),
        ("class f:\n    __slots__ = ('__doc__',)\n", "slots"),
        ("def deco(fn):\n    fn.x = fn.__doc__\n    return fn\n@deco\ndef f(): pass\n", "reads the docstring"),
        ("import fastapi\n@app.get('/')\ndef f(): pass\n", "fastapi"),
    ],
)
def test_code_whose_docstring_is_behaviour_is_left_alone(source: str, reason: str) -> None:
    file = textfile.decode(source.encode())
    inserted = insert(file, [Doc(qualname="f", ordinal=1, text="Do it.", line_length=88)])
    assert inserted.text == source
    assert reason in inserted.refused[0].reason


def test_a_docstring_is_replaced_only_on_demand_and_never_one_with_a_doctest() -> None:
    assert documented(b'def f():\n    """Old."""\n')[1].refused[0].reason == "has a docstring already"
    assert documented(b'def f():\n    """Old."""; x = 1\n', replace=True)[1].text == (
        'def f():\n    """Do it."""; x = 1\n'
    )
    doctest = b'def f():\n    """Old.\n\n    >>> f()\n    """\n'
    assert "doctest" in documented(doctest, replace=True)[1].refused[0].reason


def test_a_comment_inside_a_replaced_docstring_refuses_it() -> None:
    _, inserted = documented(b"def f():\n    ('a'\n   # c\n   'b')\n    return 1\n", replace=True)
    assert not inserted.done
    assert inserted.refused


def test_a_definition_that_is_gone_is_named() -> None:
    file = textfile.decode(b"x = 1\n")
    inserted = insert(file, [Doc(qualname="gone", ordinal=1, text="Do it.", line_length=88)])
    assert inserted.refused[0].reason == "no such definition in the file"
