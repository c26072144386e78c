"""What the environment says of proxies is kept, and this machine is added to it."""

import os

import pytest

from flowforge.cli.loopback import reach_directly

OWN = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("lower", "upper", "then"),
    [
        ("", "", (OWN, OWN)),
        ("", ".corp, 10.0.0.1", (f".corp,10.0.0.1,{OWN}",) * 2),
        (".corp,localhost", "", (".corp,localhost,127.0.0.1,::1",) * 2),
        (".one", ".two", (f".one,{OWN}", f".two,{OWN}")),
        ("*", "", ("*", "*")),
        ("*", ".two", ("*", f".two,{OWN}")),
        (OWN, OWN, (OWN, OWN)),
    ],
)
def test_should_add_this_machine_to_what_is_reached_without_a_proxy(monkeypatch, lower, upper, then):
    values = {"no_proxy": lower, "NO_PROXY": upper}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    reach_directly()
    assert tuple(os.environ[name] for name in values) == then
