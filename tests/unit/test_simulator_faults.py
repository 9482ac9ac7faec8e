"""Which request gets which fault."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from core.errors import InputError
from scripts.simulator.faults import NAMES, Faults, parse_fault
from scripts.simulator.jobs import Job, Price


@dataclass(frozen=True)
class PlainJob:
    """A request whose content can only turn to prose."""

    text: str
    model: str = "gpt-4o"
    price: Price = Price(prompt=1)  # noqa: RUF009  frozen

    @property
    def fingerprints(self) -> Sequence[bytes]:
        return (hashlib.sha256(self.text.encode()).digest(),)

    def mentions(self, word: str) -> bool:
        return word in self.text

    def body(self, request_id: str) -> bytes:
        return request_id.encode()

    def spoiled(self, fault: str, request_id: str) -> bytes | None:
        return request_id.encode() if fault == "prose" else None


def jobs(count: int) -> list[Job]:
    return [PlainJob(f"job {number}") for number in range(count)]


def faults(*specs: str, seed: int = 0) -> Faults:
    return Faults([parse_fault(spec) for spec in specs], seed, 0.0)


def picked(plan: Faults, asked: Sequence[Job], now: float = 0.0) -> list[str]:
    found = [plan.pick(job, now) for job in asked]
    return [fault.name if fault else "" for fault in found]


def test_a_share_hits_that_share_and_several_add_up() -> None:
    counted = Counter(picked(faults("500:0.2", "hang:10%"), jobs(5000)))

    assert counted["500"] == pytest.approx(1000, abs=100)
    assert counted["hang"] == pytest.approx(500, abs=80)


def test_the_same_seed_hits_the_same_requests_in_any_order_and_another_seed_others() -> None:
    asked = jobs(200)
    forwards = dict(zip(asked, picked(faults("500:0.3"), asked), strict=True))
    backwards = dict(zip(asked[::-1], picked(faults("500:0.3"), asked[::-1]), strict=True))

    assert forwards == backwards
    assert picked(faults("500:0.3", seed=1), asked) != picked(faults("500:0.3"), asked)


def test_a_retry_draws_anew() -> None:
    plan, asked = faults("500:0.5"), jobs(400)

    first, second = picked(plan, asked), picked(plan, asked)

    assert first != second
    assert second.count("500") == pytest.approx(200, abs=50)


def test_a_number_hits_the_first_so_many() -> None:
    assert picked(faults("500:2", "hang:1"), jobs(5)) == ["500", "500", "hang", "", ""]


def test_no_argument_hits_all() -> None:
    assert picked(faults("429"), jobs(3)) == ["429"] * 3


def test_a_fault_with_seconds_hits_between_them_only() -> None:
    plan = faults("500@10-20")

    assert [picked(plan, jobs(1), now) for now in (9.9, 10.0, 19.9, 20.0)] == [[""], ["500"], ["500"], [""]]


def test_an_open_end_lasts() -> None:
    assert picked(faults("500@5-"), jobs(1), 1e6) == ["500"]


def test_flapping_is_well_then_away_and_so_on() -> None:
    plan = faults("flapping:2,1")

    assert [picked(plan, jobs(1), now)[0] for now in (0, 1.9, 2.0, 2.9, 3.0, 5.5)] == [
        "", "", "flapping", "flapping", "", "flapping",
    ]  # fmt: skip


def test_poison_hits_what_mentions_the_word() -> None:
    assert picked(faults("poison:7"), jobs(9)) == [*[""] * 7, "poison", ""]


def test_wrong_content_hits_only_answers_that_have_such_content() -> None:
    assert picked(faults("wrong-params:1", "prose"), jobs(1)) == ["prose"]


def test_a_restart_and_a_change_begin_counts_and_seconds_anew() -> None:
    plan = faults("500:1", "hang@0-5")
    assert picked(plan, jobs(2), 6.0) == ["500", ""]

    plan.restart(100.0)
    assert picked(plan, jobs(2), 101.0) == ["500", "hang"]

    plan.change([parse_fault("reset")], 200.0)
    assert picked(plan, jobs(1), 201.0) == ["reset"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "flapping"])
def test_every_name_can_be_read_with_share_count_and_seconds(name: str) -> None:
    assert [parse_fault(f"{name}{rest}").name for rest in ("", ":0.5", ":3@1-2", "@1-")] == [name] * 4


@pytest.mark.parametrize(
    "spec",
    [
        "", "501", "500:", "500:2.5", "500:-1", "500:x", "500:120%", "500:nan", "500@5", "500@9-3", "flapping",
        "flapping:1", "flapping:1,0", "flapping:a,b", "500 ",
    ],
)  # fmt: skip
def test_a_spec_that_cannot_be_read_is_refused_with_a_hint(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_fault(spec)

    assert caught.value.hint
