"""Passwords in addresses are found wherever a driver reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from core.credentials import masked, masked_text, without_passwords
from core.sweep import SweepSpec, Target
from core.sweep import without_passwords as spec_without_passwords

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@host/db",
        "postgresql://:{}@host/db",
        "postgresql://me:x/{}@host/db",
        "postgresql://me:x@{}@host/db",
        "postgresql://me:x?{}@host/db",
        "postgresql://me:x#{}@host/db",
        "postgresql://me:x:{}@host/db",
        "postgresql://me:x {}@host/db",
        "postgresql://me:{}%40%2F@host/db",
        "postgresql+psycopg2://me:{}@[::1]:5432/db",
        "mysql://host/db?user=me&password={}",
        "mysql://host/db?passwd={};charset=utf8",
        "postgresql://host/db?pass%77ord={}",
        "postgresql://host/db?sslmode=require&sslpassword={}",
        "postgresql://me@host/db?application_name=a@b&password={}",
        "snowflake://me@account/db?token={}",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3D{}",
        "jdbc:postgresql://host/db?user=me&password={}",
        "first postgresql://a:x@b/c then mysql://me:{}@host/db",
    ],
)
@pytest.mark.parametrize("nest", [lambda u: u, lambda u: [u], lambda u: {"a": [{"b": (u,)}]}])
def test_no_password_is_left_in_an_address_however_deep_it_lies(url: str, nest: object) -> None:
    assert callable(nest)
    kept = masked(nest(url.format(SECRET)))
    assert SECRET not in repr(kept)
    assert "***" in repr(kept)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@host/db",
        "postgresql://host:5432/db?sslmode=require",
        "sqlite:////var/lib/a@b.db",
        "http://host:80/path",
        "me:no address@at all",
        "",
    ],
)
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert masked_text(text) == text


@given(st.text(st.characters(codec="ascii", exclude_characters="@*", exclude_categories=["Cc"]), min_size=1))
def test_whatever_sqlalchemy_takes_for_the_password_is_gone(password: str) -> None:
    url = f"postgresql://me:{password}@host/db"
    assert make_url(masked_text(url)).password == "***"
    assert masked_text(url) == "postgresql://me:***@host/db"


@pytest.mark.parametrize("url", ["mysql://me:p%40ss-1@host/db", "mysql://me@host/db?password=p%40ss-1"])
@pytest.mark.parametrize("said", ["refused p%40ss-1", "refused p@ss-1"])
def test_a_drivers_words_lose_the_password_quoted_or_not(url: str, said: str) -> None:
    assert without_passwords(said, url) == "refused ***"


def test_a_spec_is_stored_without_passwords_and_is_the_same_sweep_with_a_new_one() -> None:
    specs = [
        SweepSpec(
            name="s",
            kind="dictionary",
            source={"url": f"postgresql://me:{password}@host/db?sslpassword={password}"},
            targets=(Target(provider="openai", model="m"),),
        )
        for password in ("hunter2", "hunter3")
    ]
    stored = [spec_without_passwords(spec) for spec in specs]
    assert "hunter" not in stored[0].model_dump_json()
    assert stored[0].digest() == stored[1].digest()
