"""What the environment tells a function, validated once.

The names are those that `template.yaml` sets; credentials and endpoints are boto's own variables and not repeated here.
"""

import os

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flowforge.domain.networks import networks
from flowforge.runtime.deployment import current


class Settings(BaseModel):
    """Settings from environment variables `FLOWFORGE_<FIELD>`; missing ones have the default or raise where used."""

    model_config = ConfigDict(frozen=True)

    bucket: str = "flowforge-data"
    bus: str = ""
    watermarks_table: str = ""
    runs_table: str = ""
    connections_table: str = ""
    schedules_table: str = ""
    ingest_queue_url: str = ""
    submit_queue_url: str = Field("", description="where the sweeper, the clock of schedules and loads ask for a run")
    secret_prefix: str = "flowforge/"  # noqa: S105
    max_attempts: int = Field(3, ge=1, description="deliveries of one message before its step is given up")
    lease_seconds: float = Field(30, ge=2, description="a claim without a heartbeat for so long is taken over")
    reads_per_source: int = Field(8, ge=1, description="reads of one server and database at the same time")
    slice_rows: int = Field(
        2_000_000, ge=1, description="rows above which a table is read in slices, and rows per slice"
    )
    slice_bytes: int = Field(
        2**30,
        ge=1,
        description="bytes at the source above which a table or a file is read in slices, and bytes per slice",
    )
    slice_queue_url: str = ""
    dead_letter_queues: str = Field("", description="step=URL pairs of the queues that the sweeper looks through")
    replay_queues: str = Field("", description="name=DEAD_LETTERS>QUEUE for each queue that a person may replay")
    model_seconds: float = Field(300, gt=0, description="a gold model that is not built by then is stopped and told of")
    rule_seconds: float = Field(300, gt=0, description="quality rules not done with a batch by then are stopped")
    vacuum_retention_hours: int = Field(168, ge=24, description="files of versions younger than this are kept")
    history_days: int = Field(90, ge=45, description="how long runs and finished batches are remembered")
    lineage_endpoint: str = Field("", description="OpenLineage receiver; empty keeps events in the lake only")
    lineage_secret: str = Field("", description="id of the secret with the receiver's API key")
    lineage_ca_file: str | None = Field(None, description="PEM bundle that signs the receiver's certificate")
    alert_webhook: str = Field("", description="receiver of alerts; empty sends none")
    alert_secret: str = Field("", description="id of the secret with the key by which alerts are signed")
    alert_slack_secret: str = Field("", description="id of the secret with the address of Slack's incoming webhook")
    alert_ca_file: str | None = Field(None, description="PEM bundle that signs the certificate of the alerts' receiver")
    alert_kinds: str = Field("failure,recovery,drift,quarantine,nothing-new", description="what is told")
    alert_quiet_hours: int = Field(0, ge=0, description="a table without new rows for so long is told of; 0: never")
    alert_loopback: bool = Field(False, description="whether a receiver may be on this machine: in the local stack")
    source_ca_file: str | None = Field(None, description="PEM bundle that signs the SQL Server's certificate")
    source_networks: str = Field(
        "", description="networks and names that sources may be at; empty: all but link-local ones"
    )
    driver: str = Field("auto", description="extraction driver: auto, mssql-python or pymssql")
    login_timeout_seconds: int = 10
    cursor_lag_seconds: int = Field(300, description="distance kept from now where open transactions are not visible")
    guard_seconds: float = Field(1.0, ge=1.0, description="distance kept from now in any case")

    @field_validator("source_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks(text)
        return text


def settings() -> Settings:
    """The settings of the current deployment; raises ValueError when one is not valid."""
    return current().once("settings", _read)


def _read() -> Settings:
    found = {field: os.environ.get(f"FLOWFORGE_{field.upper()}", "") for field in Settings.model_fields}
    return Settings.model_validate({field: text for field, text in found.items() if text != ""})
