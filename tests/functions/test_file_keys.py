"""Files whose keys have what addresses escape: each is loaded once by every door, and its rows tell the key as it is."""

from urllib.parse import quote_plus

import pytest

from events.envelopes import minio, s3_object_created
from flowforge.aws.clients import client
from flowforge.operations.file_sweep import sweep_files
from flowforge.runtime.settings import settings
from flowforge.state import file_jobs
from flowforge.state.run_list import list_runs
from tests.helpers.file_jobs import in_bronze, only, why_nothing
from tests.helpers.noticed_jobs import NoticedJob, send

NAMES = {
    "plus": "a+b.csv",
    "quoted": "a%2Fb%20c%.csv",
    "plain_of_quoted": "a/b c%.csv",
    "spaces": " a  b .csv",
    "nfc": "M\u00fcnchen.csv",
    "nfd": "Mu\u0308nchen.csv",
    "emoji": "\U0001f600.csv",
    "empty_folder": "a//b.csv",
    "signs": "a&b=c?d#e;f'g\"h\\i*j[k]{l}~.csv",
    "dots": "a/../b.csv",
    "folder": "sub/",
}


def longest(folder: str) -> str:
    """A name with which the key has S3's 1,024 bytes."""
    left = 1024 - len(folder.encode()) - len(".csv")
    return "é" * (left // 2) + "x" * (left % 2) + ".csv"


def put(key: str, body: str) -> None:
    client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body.encode())


def test_should_land_each_once_by_a_pattern_and_by_its_name_and_tell_the_key_as_it_is(job):
    files = job(source={"pattern": ""})
    folder = f"landing/{files.name}/"
    keys = [folder + name for name in (*NAMES.values(), longest(folder))]
    for number, key in enumerate(keys):
        put(key, f"Id,Amount,Note\n{number},1,x\n")
    put(f"{folder}nothing/", "")
    half = len(keys) // 2
    assert set(in_bronze(only(files.load(keys=keys[:half]))).column("_source_file").to_pylist()) == set(keys[:half])
    files.load(pattern=f"{folder}**")
    assert {row["id"]: row["_source_file"] for row in files.rows()} == dict(enumerate(keys))
    assert set(files.taken()) == set(keys)
    why_nothing(files.load(keys=keys))
    why_nothing(files.load(pattern=f"{folder}**"))


def test_should_replace_the_rows_of_that_key_alone(job):
    files = job(source={"changed": "replace"})
    for name in ("nfc", "nfd", "plus"):
        files.put(NAMES[name], f"1,1,{name}")
    files.load()
    files.put(NAMES["nfd"], "1,1,new")
    files.load()
    assert sorted(row["note"] for row in files.rows()) == ["new", "nfc", "plus"]


def forms(bucket: str, key: str, etag: str) -> list[dict]:
    """One object as EventBridge, S3's own notification and MinIO tell of it, with slashes quoted or not."""
    bus, s3, other = s3_object_created(bucket, key, 5), minio(bucket, key, 5), minio(bucket, key, 5)
    bus["detail"]["object"]["etag"] = etag
    for notice in (s3, other):
        notice["Records"][0]["s3"]["object"]["eTag"] = etag
    s3["Records"][0]["s3"]["object"]["key"] = quote_plus(key, safe="/")
    return [bus, s3, other]


@pytest.mark.usefixtures("submit_queues")
def test_should_know_the_file_of_a_notice_in_each_form_and_by_the_sweep(aws, context, unique):
    job = NoticedJob(aws, unique("wf"), "landing/{}/daily/**")
    names = [*NAMES.values(), longest(job.folder(""))]
    told = [
        one
        for number, name in enumerate(names)
        for one in forms(job.bucket, job.folder(name), job.drop(name, f"a\n{number:02d}\n")["detail"]["object"]["etag"])
    ]
    file_jobs.make_due(job.job)
    sweep_files()
    assert len(job.asked()) == 1
    send(context, told[-6])  # a name that ends in /, and has content
    (run_id,) = job.begun()
    job.load(run_id, *names)
    send(context, *told)  # a key that was read as another would be a new file, or one that no job takes
    file_jobs.make_due(job.job)
    sweep_files()
    assert (job.begun(), job.asked()) == ([], [])
    assert [run["run_id"] for run in list_runs(50)["runs"] if job.folder("") in str(run.get("mistakes"))] == []
