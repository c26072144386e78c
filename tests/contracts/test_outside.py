"""Servers of others in tests: only on this machine, with their secrets in variables that nobody shows."""

import re

import pytest

from infra.local.template_text import read_yaml
from tests.helpers import outside
from tests.helpers.servers import ROOT


@pytest.mark.parametrize("given", ["sa@localhost:1433", "mssql://sa@127.0.0.1:1433/Bank", "//sa@[::1]:1433"])
def test_should_take_a_server_of_this_machine(monkeypatch, given):
    monkeypatch.setenv(outside.SQLSERVER, given)
    where = outside.address(outside.SQLSERVER)
    assert where is not None
    assert (where.username, where.port) == ("sa", 1433)


@pytest.mark.parametrize("given", ["sa@db.example.com:1433", "sa@10.0.0.7:1433", "sa@localhost", "http://127.0.0.1"])
def test_should_refuse_a_server_elsewhere_or_without_port(monkeypatch, given):
    monkeypatch.setenv(outside.S3, given)
    with pytest.raises(pytest.UsageError, match="on this machine"):
        outside.address(outside.S3)


def test_should_refuse_a_password_in_an_address_and_not_show_it(monkeypatch):
    monkeypatch.setenv(outside.SQLSERVER, "sa:hunter2@localhost:1433")
    with pytest.raises(pytest.UsageError) as refused:
        outside.address(outside.SQLSERVER)
    assert "hunter2" not in str(refused.value)
    assert outside.SQLSERVER in str(refused.value)


def test_should_start_servers_of_its_own_where_none_is_named(monkeypatch):
    monkeypatch.delenv(outside.SQLSERVER, raising=False)
    assert outside.address(outside.SQLSERVER) is None
    outside.skip_without_standin()


def test_should_say_why_a_test_is_skipped(monkeypatch):
    monkeypatch.setenv(outside.SQLSERVER, "sa@localhost:1433")
    with pytest.raises(pytest.skip.Exception, match="stand-in's own powers"):
        outside.skip_without_standin()


def test_should_name_in_the_nightly_workflow_what_there_is():
    """Nobody has run it here, for want of a container engine: it names folders, targets, samples and services that exist."""
    text = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    jobs = read_yaml(text)["jobs"]
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for path in re.findall(r"\b(?:tests|events|infra)/[\w./-]+", commands):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^make (.+)$", commands, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets and all(f"\n{target}:" in makefile for line in targets for target in line.split())
    variables = {name for job in jobs.values() for name in job.get("env", {}) if name.startswith("FLOWFORGE_TEST_")}
    assert {name.removesuffix("_ACCESS_KEY_ID") for name in variables} == {outside.SQLSERVER, outside.S3}
    services = read_yaml((ROOT / "infra" / "compose.yaml").read_text())["services"]
    assert set(re.findall(r"--wait (\w+)", commands)) == set(services)
