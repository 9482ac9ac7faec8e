"""Callees: found across files, documented before those that call them, and told in their prompts."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.fingerprint import fingerprint
from core.model import ChatRequest, Job, JobDraft, JsonObject, Variant
from tasks.docstring import KIND
from tasks.docstring.waves import waves


def tree(root: Path, **files: str) -> Path:
    """Files by name; ``__`` in a name is a directory, which becomes a package."""
    for name, content in files.items():
        path = root / (name.replace("__", "/").replace("init", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if path.parent != root:
            (path.parent / "__init__.py").touch()
    return root


def drafts(root: Path, **options: Any) -> dict[str, JobDraft]:
    return {d.key: d for d in KIND.jobs({"paths": [str(root)]}, options) if isinstance(d, JobDraft)}


def callees(draft: JobDraft) -> dict[str, str]:
    """Name -> the first line that is there, or the key of the job that will write it."""
    needs = draft.input.get("needs", {})
    return {name: doc or needs[name] for name, doc in draft.input["facts"].get("callees", {}).items()}


LIBRARY = '''
class Base:
    def close(self):
        """Close it."""
    def shut(self): return 1

def helper():
    """Help."""

class Tool:
    """A tool."""
    def use(self):
        """Use the tool."""

class _Quiet:
    def __init__(self):
        """Be quiet."""
'''


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from pkg.lib import helper\ndef f(): helper()", {"helper": "Help."}),
        ("from pkg.lib import helper as h\ndef f(): h()", {"h": "Help."}),
        ("from .lib import helper\ndef f(): helper()", {"helper": "Help."}),
        ("from . import lib\ndef f(): lib.helper()", {"lib.helper": "Help."}),
        ("import pkg.lib as z\ndef f(): z.helper()", {"z.helper": "Help."}),
        ("import pkg.lib\ndef f(): pkg.lib.helper()", {"pkg.lib.helper": "Help."}),
        ("from .lib import *\ndef f(): helper()", {"helper": "Help."}),
        ("def f():\n    from .lib import helper\n    helper()", {"helper": "Help."}),
        ("from .handed import helper\ndef f(): helper()", {"helper": "Help."}),
        ("from .lib import Tool\ndef f(): return Tool()", {"Tool": "A tool."}),
        ("from .lib import _Quiet\ndef f(): return _Quiet()", {"_Quiet": "Be quiet."}),
        ("from .lib import Tool\ndef f(): Tool().use()", {"Tool": "A tool.", "Tool.use": "Use the tool."}),
        ("from .lib import Tool\ndef f(t: Tool): t.use()", {"t.use": "Use the tool."}),
        ("from .lib import Tool\ndef f(t: 'Tool | None'): t.use()", {}),
        ("from .lib import Tool\ndef f(t: Tool | None): t.use()", {"t.use": "Use the tool."}),
        ("from .lib import Tool\ndef f():\n    t = Tool()\n    t.use()", {"Tool": "A tool.", "t.use": "Use the tool."}),
        ("from .lib import helper\ndef f(helper): helper()", {}),
        ("from .lib import helper\ndef f():\n    helper = 1\n    helper()", {}),
        ("def helper(): return 1\ndef f(): helper()", {"helper": "pkg/m.py::helper"}),
        ("import json\ndef f(): json.dumps(1)", {}),
        ("from .gone import x\ndef f(): x()", {}),
        ("from .lib import helper\ndef f():\n    def g(): helper()", {}),
        ("def f():\n    def g():\n        '''Inner.'''\n    g()", {"g": "Inner."}),
        ("def f(): f()", {}),
        ("def f(): print(1)", {}),
    ],
)
def test_what_a_function_calls_is_found_across_files(tmp_path: Path, source: str, expected: dict[str, str]) -> None:
    root = tree(tmp_path, pkg__lib=LIBRARY, pkg__handed="from pkg.lib import helper\n", pkg__m=source + "\n")
    assert callees(drafts(root)["pkg/m.py::f"]) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("self.close()", {"self.close": "Close it."}),
        ("super().close()", {"super.close": "Close it."}),
        ("self.shut()", {"self.shut": "pkg/lib.py::Base.shut"}),
        ("self.tool.use()", {"self.tool.use": "Use the tool."}),
        ("self.other.use()", {"self.other.use": "Use the tool."}),
        ("self.own()", {"self.own": "pkg/m.py::Own.own"}),
        ("cls.close()", {"cls.close": "Close it."}),
        ("self.nothing()", {}),
    ],
)
def test_what_a_method_calls_is_found_along_its_bases(tmp_path: Path, method: str, expected: dict[str, str]) -> None:
    source = f"""
from .lib import Base, Tool
class Middle(Base): pass
class Own(Middle):
    other: Tool
    def __init__(self, tool: Tool): self.tool = tool
    def own(self): return 1
    def f(self): {method}
"""
    found = drafts(tree(tmp_path, pkg__lib=LIBRARY, pkg__m=source))
    assert callees(found["pkg/m.py::Own.f"]) == expected
    assert callees(found["pkg/m.py::Middle"]) == {"Base": "pkg/lib.py::Base"}
    assert callees(found["pkg/m.py::Own"]) == {"Middle": "pkg/m.py::Middle"}


def test_packages_in_src_and_without_init_and_scripts_side_by_side_are_found(tmp_path: Path) -> None:
    for directory in ("src/space", "one", "two"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "util.py").write_text(f'def helper():\n    """Of {directory}."""\n')
    (tmp_path / "src/space/m.py").write_text("from space.util import helper\ndef f(): helper()\n")
    (tmp_path / "two/m.py").write_text("from util import helper\ndef f(): helper()\n")
    found = drafts(tmp_path)
    assert callees(found["src/space/m.py::f"]) == {"helper": "Of src/space."}
    assert callees(found["two/m.py::f"]) == {"helper": "Of two."}


def test_cyclic_imports_and_bases_end_by_themselves(tmp_path: Path) -> None:
    a = "from .b import *\nfrom .b import x\nclass A(B):\n    def f(self): self.gone(), x(), y()\n"
    b = "from .a import *\nfrom .a import x\nclass B(A):\n    def g(self): self.f()\n"
    found = drafts(tree(tmp_path, pkg__a=a, pkg__b=b))
    assert callees(found["pkg/a.py::A.f"]) == {}
    assert set(found) == {"pkg/a.py::A", "pkg/a.py::A.f", "pkg/b.py::B", "pkg/b.py::B.g"}


CHAIN = {
    "pkg__a": "from .b import middle\ndef top(): return middle()\n",
    "pkg__b": "from .c import bottom\ndef middle(): return bottom()\n",
    "pkg__c": "def bottom(): return 1\n",
}


def test_callees_come_in_earlier_waves_than_their_callers(tmp_path: Path) -> None:
    found = drafts(tree(tmp_path, **CHAIN))
    order = [(draft.key, draft.wave) for draft in found.values()]
    assert order == [("pkg/c.py::bottom", 0), ("pkg/b.py::middle", 1), ("pkg/a.py::top", 2)]


def test_a_chain_longer_than_the_waves_shares_the_last_one_where_nothing_is_seen(tmp_path: Path) -> None:
    source = "".join(f"def f{n}(): return f{n + 1}()\n" for n in range(20)) + "def f20(): return 1\n"
    found = drafts(tree(tmp_path, m=source))
    assert sorted({draft.wave for draft in found.values()}) == list(range(8))
    for n in range(20):
        caller, callee = found[f"m.py::f{n}"], found[f"m.py::f{n + 1}"]
        assert callees(caller) == ({f"f{n + 1}": callee.key} if callee.wave < caller.wave else {})


def _request(draft: JobDraft, **earlier: JsonObject) -> ChatRequest:
    found = KIND.request(
        Job(id=1, key=draft.key, input=draft.input, earlier=earlier), Variant(provider="p", model="m"), {}
    )
    assert isinstance(found, ChatRequest)
    return found


def _told(request: ChatRequest) -> dict[str, str]:
    facts: dict[str, Any] = json.loads(request.messages[1].content.partition("\n")[2].partition("\n")[0])
    return facts.get("callees", {})  # type: ignore[no-any-return] # JSON


def test_a_prompt_tells_what_the_sweep_has_written_and_a_failed_callee_is_absent(tmp_path: Path) -> None:
    draft = drafts(tree(tmp_path, **CHAIN))["pkg/b.py::middle"]
    assert _told(_request(draft)) == {}
    written = {"docstring": "...", "answer": {"summary": "Return one." + "x" * 500}}
    seen = _request(draft, bottom=written)
    assert _told(seen) == {"bottom": "Return one." + "x" * 189}
    assert fingerprint(seen) == fingerprint(_request(draft, bottom=dict(written)))
    assert fingerprint(seen) != fingerprint(_request(draft))


def test_a_prompt_shows_no_more_than_eight_callees_in_the_order_of_the_code(tmp_path: Path) -> None:
    helpers = "".join(f'def h{n}():\n    """Doc {n}."""\n' for n in range(12))
    calls = ", ".join(f"h{n}()" for n in reversed(range(12)))
    found = drafts(tree(tmp_path, m=f"{helpers}def f(): return {calls}\n"))["m.py::f"]
    assert list(callees(found)) == [f"h{n}" for n in range(11, 3, -1)]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([[0]], [0]),
        ([[], [0], [0, 1], [2]], [0, 1, 2, 3]),
        ([[1], [0]], [1, 0]),  # a tie: the first by name comes last
        ([[1, 2], [0], [0]], [0, 1, 1]),  # two refer to 0, so that the others come after it
        ([[1], [0], [1], []], [1, 0, 1, 0]),
    ],
)
def test_a_cycle_is_broken_at_the_member_that_it_refers_to_least(
    needs: Sequence[Sequence[int]], expected: list[int]
) -> None:
    assert waves(needs, [f"n{n}" for n in range(len(needs))], 8) == expected


@pytest.mark.parametrize("seed", range(20))
def test_waves_are_the_same_for_equal_graphs_and_meet_every_need_outside_cycles(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(1, 60)
    needs = [[chance.randrange(count) for _ in range(chance.randint(0, 3))] for _ in range(count)]
    names = [f"n{n:02}" for n in range(count)]
    found = waves(needs, names, 1000)
    assert found == waves([list(dict.fromkeys(n)) for n in needs], names, 1000)
    reach = [_reached(needs, node) for node in range(count)]
    for node, others in enumerate(needs):
        for other in others:
            assert found[other] < found[node] or node in reach[other]


def _reached(needs: Sequence[Sequence[int]], start: int) -> set[int]:
    seen, stack = {start}, [start]
    while stack:
        for other in needs[stack.pop()]:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen


def test_a_call_chain_of_a_hundred_thousand_functions_needs_no_recursion() -> None:
    count = 100_000
    needs = [[n + 1] for n in range(count - 1)] + [[0]]
    assert max(waves(needs, [f"{n:06}" for n in range(count)], 8)) == 7
