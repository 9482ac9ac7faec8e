"""Code as symbols, and the jobs that come of code and design together."""

from pathlib import Path
from typing import Any

import pytest

from core import tokens
from core.errors import InputError
from core.model import JobDraft
from tasks.gap import KIND
from tasks.gap.code import Module, modules
from tasks.gap.facts import JobInput, Payload, Symbol
from tasks.gap.terms import named, stem, terms
from tasks.kind import Problem

CODE = '''\
"""Orders."""

MAX_RETRIES: int = 3
_HIDDEN = 1
READ = WRITE = "rw"


class OrderBook:
    """Keeps all orders.

    More about it.
    """

    size: int

    def __init__(self, path: str, *, sync: bool = True) -> None:
        self.path = path

    def store(self, order: dict[str, str]) -> int:
        """Store one order."""
        if not order:
            raise ValueError("empty")
        return self._flush(order)

    def _flush(self, order): ...

    @property
    def full(self) -> bool:
        return False


async def archive_closed(book: OrderBook):
    def inner(): ...
    await book.archive()
'''
DESIGN = """\
# Shop
- The `OrderBook` stores an order.
- Closed orders are archived.
- Customers are sent an invoice.
"""


def project(tmp_path: Path, **files: str | bytes) -> Path:
    root = tmp_path / "project"
    for name, content in {"shop_py": CODE, "design_md": DESIGN, **files}.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def found(root: Path, *, design: str = "design.md", **options: Any) -> tuple[dict[str, Payload], list[Problem]]:
    source = {"code": [str(root)], "design": str(root / design)}
    items = list(KIND.jobs(source, options))
    drafts = {item.key: JobInput.model_validate(item.input).payload for item in items if isinstance(item, JobDraft)}
    return drafts, [item for item in items if isinstance(item, Problem)]


def symbols(root: Path, *, private: bool = False) -> dict[str, Symbol]:
    return {
        symbol.name: symbol
        for module in modules([str(root)], private=private)
        if isinstance(module, Module)
        for symbol in module.symbols
    }


def test_python_gives_functions_methods_classes_and_constants_with_what_a_reader_skims(tmp_path: Path) -> None:
    by_name = symbols(project(tmp_path))

    assert list(by_name) == [
        "MAX_RETRIES",
        "READ",
        "WRITE",
        "OrderBook",
        "OrderBook.store",
        "OrderBook.full",
        "archive_closed",
    ]
    assert by_name["OrderBook.store"] == Symbol(
        at="shop.py:19",
        kind="method",
        name="OrderBook.store",
        signature="(order: dict[str, str]) -> int",
        summary="Store one order.",
        uses="raises ValueError, _flush()",
    )
    assert by_name["OrderBook"].signature == "(path: str, *, sync: bool=True) -> None"
    assert by_name["OrderBook"].uses == "size, store(), full()"
    assert by_name["MAX_RETRIES"].signature == "= 3"
    assert by_name["OrderBook.full"].kind == "property"


def test_private_names_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    root = project(tmp_path)

    assert {"_HIDDEN", "OrderBook._flush"} <= set(symbols(root, private=True))
    assert not {"_HIDDEN", "OrderBook._flush"} & set(symbols(root))


@pytest.mark.parametrize(
    ("suffix", "text", "names"),
    [
        (
            "ts",
            (
                "// Reads it.\nexport async function readAll(a: string) {\n}\nexport interface Book {\n}\n"
                "class A {\n  run(x) {\n  }\n}\n"
            ),
            ["readAll", "Book", "A", "run"],
        ),
        ("go", "// Read reads.\nfunc (b *Book) Read(p []byte) error {\n}\ntype Book struct {\n}\n", ["Read", "Book"]),
        (
            "rs",
            "/// Reads.\npub fn read(x: u8) -> u8 {\n}\npub struct Book;\nconst MAX: u8 = 3;\n",
            ["read", "Book", "MAX"],
        ),
        ("java", "public class Book {\n    public static int read(String x) {\n    }\n}\n", ["Book", "read"]),
        (
            "c",
            "#define MAX 3\nint read_all(char *p)\n{\n  return go(p);\n}\nstruct book {\n};\n",
            ["MAX", "read_all", "book"],
        ),
        (
            "sql",
            "CREATE TABLE IF NOT EXISTS shop.orders (\n id int);\ncreate or replace view open_orders as select 1;\n",
            ["orders", "open_orders"],
        ),
        ("rb", "module Shop\n  class Book\n    def read(x)\n    end\n  end\nend\n", ["Shop", "Book", "read"]),
        ("sh", "# Reads.\nread_all() {\n  echo\n}\n", ["read_all"]),
    ],
)
def test_other_languages_give_the_definitions_that_their_lines_tell(
    tmp_path: Path, suffix: str, text: str, names: list[str]
) -> None:
    (tmp_path / f"code.{suffix}").write_text(text)

    assert list(symbols(tmp_path)) == names


def test_a_comment_above_a_definition_is_its_summary(tmp_path: Path) -> None:
    (tmp_path / "code.go").write_text("// Read reads all\n// that is there.\nfunc Read() {\n}\n")

    assert symbols(tmp_path)["Read"].summary == "Read reads all that is there."


def test_every_requirement_is_a_job_with_the_symbols_that_share_its_words_best_first(tmp_path: Path) -> None:
    jobs, problems = found(project(tmp_path))

    assert not problems
    assert list(jobs)[:3] == ["design.md:2", "design.md:3", "design.md:4"]
    assert jobs["design.md:2"].symbols[0].name == "OrderBook"
    assert jobs["design.md:3"].symbols[0].name == "archive_closed"


def test_a_requirement_in_words_that_no_symbol_has_is_shown_the_outermost_symbols(tmp_path: Path) -> None:
    jobs, _ = found(project(tmp_path))

    assert [symbol.name for symbol in jobs["design.md:4"].symbols] == ["OrderBook", "archive_closed"]


def test_symbols_that_the_design_names_are_not_asked_about(tmp_path: Path) -> None:
    jobs, _ = found(project(tmp_path))

    asked = {symbol.name for symbol in jobs["shop.py"].symbols}
    assert "OrderBook" not in asked
    assert {"archive_closed", "MAX_RETRIES"} <= asked
    assert "shop.py" not in found(project(tmp_path), undocumented=False)[0]


def test_a_jobs_symbols_take_no_more_tokens_than_allowed(tmp_path: Path) -> None:
    many = "\n".join(f"def store_order_{n}(order, path, book):\n    '''Store an order {n}.'''" for n in range(200))
    jobs, _ = found(project(tmp_path, many_py=many), candidate_tokens=500)

    assert len([key for key in jobs if key.startswith("many.py")]) > 5
    for payload in jobs.values():
        rows = [",".join(symbol.model_dump().values()) for symbol in payload.symbols]
        assert sum(map(tokens.count, rows)) <= 500


def test_two_requirements_on_one_line_are_two_jobs(tmp_path: Path) -> None:
    jobs, _ = found(project(tmp_path, design_md="It shall store orders. It must archive orders.\n"))

    assert {"design.md:1", "design.md:1#2"} <= set(jobs)


def test_the_same_input_gives_the_same_jobs_wherever_the_project_lies(tmp_path: Path) -> None:
    one, other = found(project(tmp_path / "a"))[0], found(project(tmp_path / "b"))[0]

    assert one == other


def test_files_that_cannot_be_read_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    root = project(tmp_path, broken_py="def (:\n", binary_py=b"a = '\0'\n", latin_go=b"func Caf\xe9() {\n", empty_py="")
    with (root / "huge.py").open("wb") as file:
        file.truncate(100_000_000)

    jobs, problems = found(root)

    assert "shop.py" in jobs
    assert {problem.where for problem in problems} == {"broken.py", "binary.py", "latin.go", "huge.py"}


def test_a_named_file_of_no_known_language_is_told(tmp_path: Path) -> None:
    root = project(tmp_path, notes_xyz="def x")
    source = {"code": [str(root), str(root / "notes.xyz")], "design": str(root / "design.md")}

    problems = [item for item in KIND.jobs(source, {}) if isinstance(item, Problem)]

    assert [(problem.where, problem.what) for problem in problems] == [("notes.xyz", "no known language: .xyz")]


@pytest.mark.parametrize(
    ("code", "design", "what"),
    [
        ("nowhere.py", "design.md", "no such file"),
        ("shop.py", "nowhere.md", "cannot be read"),
        ("shop.py", "empty.md", "is empty"),
        ("shop.py", "shop.bin", "binary"),
        ("shop.py", "blank.md", "no requirement"),
        ("blank.py", "design.md", "no symbol"),
    ],
)
def test_input_that_gives_nothing_is_named(tmp_path: Path, code: str, design: str, what: str) -> None:
    root = project(tmp_path, empty_md="", shop_bin=b"\0\1", blank_md="***\n\n```\ncode\n```\n", blank_py="# nothing\n")

    with pytest.raises(InputError, match=what):
        list(KIND.jobs({"code": [str(root / code)], "design": str(root / design)}, {}))


@pytest.mark.parametrize("source", [{}, {"code": [], "design": "x"}, {"code": ["a"], "design": ""}, {"code": 3}])
def test_a_source_without_code_or_design_is_refused(source: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="gap: "):
        list(KIND.jobs(source, {}))


def test_words_meet_in_their_stems() -> None:
    assert len({stem(word) for word in ("cache", "caches", "cached", "caching")}) == 1
    assert len({stem(word) for word in ("retry", "retries", "retried")}) == 1
    assert list(terms("fetchURLs of the HTTPServer_v2")) == ["fetch", "url", "http", "serv", "2"]


def test_names_of_code_are_told_from_prose() -> None:
    assert named("The `run` of core.gate uses OrderBook and read_all, e.g. twice") >= {
        "run",
        "gate",
        "OrderBook",
        "read_all",
    }
    assert not named("The system shall run every Order twice.")
