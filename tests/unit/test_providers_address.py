"""Where calls may go, and where never."""

import socket
from collections.abc import Iterator

import pytest
from yarl import URL

from core.clock import SystemClock
from core.errors import InputError, ProviderUnreachable
from core.providers import create
from core.providers.address import GuardedResolver, Reach, check_base_url, reach_of_host
from core.providers.transport import Route, Transport
from core.settings import ProviderSettings, forget


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        ("api.openai.com", Reach.PUBLIC),
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
        ("localhost", Reach.LOOPBACK),
        ("LOCALHOST.", Reach.LOOPBACK),
        ("llm.localhost", Reach.LOOPBACK),
        ("127.0.0.1", Reach.LOOPBACK),
        ("127.8.9.1", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("0.0.0.0", Reach.LOOPBACK),  # noqa: S104  judged, not bound to
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("192.168.1.5", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd12:3456::1", Reach.PRIVATE),
        ("::ffff:192.168.1.5", Reach.PRIVATE),
        ("simulator", Reach.PRIVATE),
        ("gpu.local", Reach.PRIVATE),
        ("host.docker.internal", Reach.PRIVATE),
        ("169.254.169.254", Reach.FORBIDDEN),
        ("169.254.1.1", Reach.FORBIDDEN),
        ("fe80::1", Reach.FORBIDDEN),
        ("fd00:ec2::254", Reach.FORBIDDEN),
        ("::ffff:169.254.169.254", Reach.FORBIDDEN),
        ("100.100.100.200", Reach.FORBIDDEN),
        ("168.63.129.16", Reach.FORBIDDEN),
        ("metadata.google.internal", Reach.FORBIDDEN),
        ("224.0.0.1", Reach.FORBIDDEN),
        ("192.0.0.192", Reach.FORBIDDEN),
        ("metadata.goog", Reach.FORBIDDEN),
        ("metadata.google.internal.", Reach.FORBIDDEN),
        ("127.1", Reach.LOOPBACK),
        ("0177.0.0.1", Reach.LOOPBACK),
        ("10.1", Reach.PRIVATE),
        ("0xa.0x1", Reach.PRIVATE),
        ("0251.0376.0251.0376", Reach.FORBIDDEN),
        ("0xa9.0xfe.0xa9.0xfe", Reach.FORBIDDEN),
        ("169.16689662", Reach.FORBIDDEN),
        ("169.254.169.254.", Reach.FORBIDDEN),
        ("1.2.3.4.5", Reach.FORBIDDEN),
        ("::169.254.169.254", Reach.FORBIDDEN),
        ("::ffff:0:169.254.169.254", Reach.FORBIDDEN),
        ("64:ff9b::a9fe:a9fe", Reach.FORBIDDEN),
        ("64:ff9b::a01:203", Reach.PRIVATE),
        ("64:ff9b::808:808", Reach.PUBLIC),  # what an IPv6-only network resolves everything to
        ("2002:a9fe:a9fe::1", Reach.FORBIDDEN),
        ("fd00:ec2::254%eth0", Reach.FORBIDDEN),
        ("fd20:ce::254", Reach.FORBIDDEN),
        ("kubernetes.default.svc", Reach.PRIVATE),
    ],
)
def test_a_host_is_as_far_away_as_it_looks(host: str, reach: Reach) -> None:
    assert reach_of_host(host) is reach


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://my-name.openai.azure.com",
        "http://127.0.0.1:1234/v1",
        "http://localhost:11434/v1",
        "http://[::1]:8000/v1",
        "https://127.0.0.1:8443/v1",
    ],
)
def test_https_and_this_machine_are_always_allowed(url: str) -> None:
    assert check_base_url(f"{url}/", allow_private=False) == url


@pytest.mark.parametrize("url", ["http://10.0.0.5:8000/v1", "https://192.168.1.5/v1", "http://vllm:8000/v1"])
def test_private_networks_need_the_users_word(url: str) -> None:
    with pytest.raises(InputError, match="private network") as caught:
        check_base_url(url, allow_private=False)
    assert "ALLOW_PRIVATE_BASE_URLS" in caught.value.hint
    assert check_base_url(url, allow_private=True) == url


@pytest.mark.parametrize("allow_private", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "http://8.8.8.8/v1",
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "http://metadata.google.internal/v1",
        "http://[fe80::1]/v1",
        "https://user:secret@api.openai.com/v1",
        "https://api.openai.com/v1?key=secret",
        "https://api.openai.com/v1#x",
        "https://①⑥⑨.②⑤④.①⑥⑨.②⑤④/v1",
        "https://169。254。169。254/v1",
        "https://0251.0376.0251.0376/v1",
        "https://%31%36%39.254.169.254/v1",
        "https://169.254.169.254\\.example.com/v1",
        "https://api.openai.com\\@169.254.169.254/v1",
        "https://api.openai.com:secret@169.254.169.254/v1",
        "https://api openai.com/v1",
        "https://api.openai.com\n.example.com/v1",
        "https://api.openai.com:99999/v1",
        "http://[fe80::1%25eth0]/v1",
        "http://[fd00:ec2::254%25eth0]/v1",
        "ftp://me:secret@api.openai.com/v1",
        "ftp://api.openai.com/v1",
        "api.openai.com/v1",
        "https://",
        "",
    ],
)
def test_some_addresses_are_never_allowed(url: str, *, allow_private: bool) -> None:
    with pytest.raises(InputError) as caught:
        check_base_url(url, allow_private=allow_private)
    assert "secret" not in str(caught.value)


@pytest.fixture
def opened() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ALLOW_PRIVATE_BASE_URLS", "true")
        forget()
        yield
    forget()


@pytest.mark.usefixtures("opened")
def test_the_setting_opens_private_networks() -> None:
    settings = ProviderSettings.model_validate({"base_url": "http://10.0.0.5:8000/v1"})
    assert create("openai", settings).name == "openai"


def test_without_the_setting_private_networks_are_closed() -> None:
    with pytest.raises(InputError):
        create("openai", ProviderSettings.model_validate({"base_url": "http://10.0.0.5:8000/v1"}))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001"])
async def test_an_address_written_as_a_number_is_judged_by_what_it_is(host: str) -> None:
    found = await GuardedResolver(allow_private=False).resolve(host, 80, socket.AF_INET)
    assert [entry["host"] for entry in found] == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe"])
@pytest.mark.parametrize("allow_private", [True, False])
async def test_a_name_that_resolves_to_a_metadata_address_is_not_connected(host: str, *, allow_private: bool) -> None:
    with pytest.raises(OSError, match="may not go"):
        await GuardedResolver(allow_private=allow_private).resolve(host, 80, socket.AF_INET)


@pytest.mark.parametrize(
    ("host", "address", "allow_private", "connected"),
    [
        ("api.openai.com", "8.8.8.8", False, True),
        ("api.openai.com", "10.0.0.5", False, False),
        ("api.openai.com", "10.0.0.5", True, True),
        ("api.openai.com", "127.0.0.1", False, False),
        ("localhost", "127.0.0.1", False, True),
        ("api.openai.com", "fe80::1%eth0", True, False),
    ],
)
async def test_what_a_name_resolves_to_decides_whether_it_is_connected(
    host: str, address: str, *, allow_private: bool, connected: bool
) -> None:
    assert GuardedResolver(allow_private=allow_private)._may_connect(host, address) is connected


async def test_a_call_to_a_name_that_leads_there_ends_as_unreachable() -> None:
    route = Route(
        headers={},
        secret="",
        request_timeout=5,
        connection_timeout=5,
        max_connections=1,
        trust_env=False,
        allow_private=True,
    )
    transport = Transport(route, SystemClock())
    # The system's resolver reads it as 169.254.169.254, as it would an answer of a name server that was tampered with.
    try:
        with pytest.raises(ProviderUnreachable) as caught:
            await transport.post(URL("http://0xa9fea9fe/v1"), {}, cap=100)
    finally:
        await transport.close()
    assert "may not go" in repr(caught.value.__cause__.__cause__ if caught.value.__cause__ else None)
