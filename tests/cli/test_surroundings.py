"""What the environment says of proxies is kept, and this machine is added to it; an account and other modules are left out."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flowforge.cli.surroundings import authorities, leave_account_out, reach_directly

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


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that adds to what the environment says of AWS; all of that is put back after the test."""
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.setenv(name, os.environ[name])

    def say(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return say


def test_should_leave_nothing_of_an_account_that_takes_calls_elsewhere(account):
    account(AWS_PROFILE="bank", AWS_SESSION_TOKEN="token", AWS_USE_FIPS_ENDPOINT="true", AWS_MAX_ATTEMPTS="2")
    account(AWS_ENDPOINT_URL_SQS="http://elsewhere", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    account(AWS_CA_BUNDLE="/nowhere.pem", AWS_CONFIG_FILE="/home/bank/.aws/config")
    leave_account_out()
    assert {name: value for name, value in os.environ.items() if name.startswith("AWS_")} == {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "2",
    }


def test_should_keep_the_authorities_of_another_s3(account, tmp_path):
    bundle = tmp_path / "authorities.pem"
    bundle.touch()
    account(AWS_CA_BUNDLE=str(bundle))
    leave_account_out()
    assert os.environ["AWS_CA_BUNDLE"] == str(bundle)


def test_should_name_those_authorities_to_a_process_in_another_folder(account, tmp_path, monkeypatch):
    (tmp_path / "authorities.pem").touch()
    monkeypatch.chdir(tmp_path)
    account(AWS_CA_BUNDLE="authorities.pem")
    assert authorities() == {"AWS_CA_BUNDLE": str(tmp_path / "authorities.pem")}


def test_should_find_its_own_modules_before_those_of_another_project(tmp_path):
    for name in ("events", "infra", "functions"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of another project')")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FLOWFORGE_")}
    done = subprocess.run(
        [Path(sys.executable).with_name("flowforge"), "status"],
        cwd=tmp_path,
        env=ours | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "flowforge up" in done.stderr and "another project" not in done.stderr
