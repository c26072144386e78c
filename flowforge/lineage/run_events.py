"""From a step that happened to its OpenLineage run event.

Guarantees: pure, and the same step gives the same event. Run ids are UUIDs of version 5, made from what identifies the step, so
that whoever hears of it twice knows it. The event tells names, types, counts and versions, never a value of a row or a login.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import attrs
from openlineage.client import facet_v2, set_producer
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.base import OutputDatasetFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

from events.quality import QualityFigure
from flowforge.lineage.datasets import Dataset, DatasetId
from flowforge.lineage.origins import ColumnLineage, Origin

PRODUCER = "urn:flowforge:lineage:1"
set_producer(PRODUCER)

Kind = Literal["INGEST", "REFINE", "MODEL"]


@dataclass(frozen=True)
class Parent:
    """The job run that a step belongs to."""

    run_id: str
    job: str


@dataclass(frozen=True)
class Step:
    """One run of one step. `identity` tells it from all others; times are ISO 8601 in UTC."""

    identity: str
    state: Literal["COMPLETE", "FAIL"]
    ended_at: str
    seconds: float
    inputs: tuple[Dataset, ...]
    output: Dataset
    kind: Kind
    parent: Parent | None = None
    columns: ColumnLineage = field(default_factory=ColumnLineage)
    sql: str | None = None
    error: str | None = None
    quality: tuple[QualityFigure, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The step's OpenLineage run id."""
        return uuid_of(self.identity)


def uuid_of(identity: str) -> str:
    """The UUID of a FlowForge identity."""
    return str(uuid5(NAMESPACE_URL, f"urn:flowforge:{identity}"))


def run_event(step: Step, namespace: str) -> dict[str, Any]:
    """The event that a step ended, as JSON has it; `namespace` is that of the jobs."""
    ids = {dataset.alias: dataset.id for dataset in step.inputs}
    event = RunEvent(
        eventTime=step.ended_at,
        eventType=RunState(step.state),
        run=Run(step.run_id, _run_facets(step, namespace)),
        job=Job(namespace, step.output.alias, _job_facets(step)),
        inputs=[_input(dataset, step.quality) for dataset in step.inputs],
        outputs=[_output(step.output, step.columns, ids)],
    )
    return attrs.asdict(event, filter=lambda _, value: value is not None, value_serializer=_plain)


def _plain(_: Any, __: Any, value: Any) -> Any:
    """As OpenLineage's own `Serde` has it, which walks all of the event a second time for what none of ours holds."""
    return value.value if isinstance(value, Enum) else value


def start_of(event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The event that the same run began, which a receiver needs to tell how long it took."""
    began = datetime.fromisoformat(event["eventTime"]) - timedelta(seconds=seconds)
    outputs = [{k: v for k, v in output.items() if k != "outputFacets"} for output in event["outputs"]]
    at = began.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**event, "eventType": "START", "eventTime": at, "outputs": outputs}


def _run_facets(step: Step, namespace: str) -> dict[str, facet_v2.RunFacet]:
    facets: dict[str, facet_v2.RunFacet] = {}
    if step.parent:
        run, job = facet_v2.parent_run.Run(uuid_of(step.parent.run_id)), step.parent.job
        facets["parent"] = facet_v2.parent_run.ParentRunFacet(run, facet_v2.parent_run.Job(namespace, job))
    if step.error is not None:
        facets["errorMessage"] = facet_v2.error_message_run.ErrorMessageRunFacet(step.error, "python")
    tags = [facet_v2.tags_run.TagsRunFacetFields(k, str(v), "FLOWFORGE") for k, v in step.tags.items() if v is not None]
    facets["tags"] = facet_v2.tags_run.TagsRunFacet(tags)
    return facets


def _job_facets(step: Step) -> dict[str, facet_v2.JobFacet]:
    facets: dict[str, facet_v2.JobFacet] = {
        "jobType": facet_v2.job_type_job.JobTypeJobFacet("BATCH", "FLOWFORGE", step.kind)
    }
    if step.sql is not None:
        facets["sql"] = facet_v2.sql_job.SQLJobFacet(step.sql, "duckdb")
    return facets


def _facets(dataset: Dataset) -> dict[str, facet_v2.DatasetFacet]:
    facets: dict[str, facet_v2.DatasetFacet] = {
        "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet(dataset.id.namespace, dataset.id.namespace),
    }
    if dataset.alias != dataset.id.name:
        named = facet_v2.symlinks_dataset.Identifier(dataset.id.namespace, dataset.alias, "TABLE")
        facets["symlinks"] = facet_v2.symlinks_dataset.SymlinksDatasetFacet([named])
    if dataset.types:
        column = facet_v2.schema_dataset.SchemaDatasetFacetFields
        fields = [column(name, kind, ordinal_position=n) for n, (name, kind) in enumerate(dataset.types.items(), 1)]
        facets["schema"] = facet_v2.schema_dataset.SchemaDatasetFacet(fields)
    if dataset.version is not None:
        facets["version"] = facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet(dataset.version)
    if dataset.is_delta:
        facets["storage"] = facet_v2.storage_dataset.StorageDatasetFacet("delta", "parquet")
    return facets


def _input(dataset: Dataset, quality: tuple[QualityFigure, ...]) -> InputDataset:
    found = InputDataset(*dataset.id, facets=_facets(dataset))
    if quality:
        told = facet_v2.data_quality_assertions_dataset
        checks = [told.Assertion(figure.rule, figure.failed == 0, severity=figure.severity) for figure in quality]
        found.inputFacets = {"dataQualityAssertions": told.DataQualityAssertionsDatasetFacet(checks)}
    return found


def _output(dataset: Dataset, columns: ColumnLineage, ids: Mapping[str, DatasetId]) -> OutputDataset:
    facets = _facets(dataset)
    if columns.fields:
        told = facet_v2.column_lineage_dataset
        fields = {name: told.Fields(_origins(origins, ids)) for name, origins in columns.fields.items() if origins}
        facets["columnLineage"] = told.ColumnLineageDatasetFacet(fields, _origins(columns.rows, ids))
    counts = OutputStatisticsOutputDatasetFacet(dataset.rows, dataset.bytes, dataset.files)
    statistics: dict[str, OutputDatasetFacet] = {} if dataset.rows is None else {"outputStatistics": counts}
    return OutputDataset(*dataset.id, facets=facets, outputFacets=statistics)


def _origins(
    origins: frozenset[Origin], ids: Mapping[str, DatasetId]
) -> list[facet_v2.column_lineage_dataset.InputField]:
    """One input field for each column, with all that it does."""
    told = facet_v2.column_lineage_dataset
    roles: dict[tuple[str, str], list[facet_v2.column_lineage_dataset.Transformation]] = {}
    for origin in sorted(origins):
        role = told.Transformation(origin.role.kind, origin.role.how, masking=origin.role.masking)
        roles.setdefault((origin.table, origin.column), []).append(role)
    return [
        told.InputField(*ids[table], column, transformations)
        for (table, column), transformations in roles.items()
        if table in ids
    ]
