"""Which of the template's parameters do nothing in a local stack, and which of their values it cannot run by.

What is given and does nothing is said at the start; what would leave the stack without its lake is refused. A parameter that is
not here does what it does on AWS: tests/local_stack/test_template_reading.py holds the list to the template.
"""

from collections.abc import Iterable, Mapping

from infra.local.template import TemplateError

_NO_CLOUDWATCH = "there is no CloudWatch here; alerts are sent (AlertWebhook, AlertSlackSecret)"
_NO_LIFECYCLE = "no rule ends objects here; they end with the stack, or stay in its --data-dir"
_NO_RATE = "calls are not counted by time here; at most 32 wait for each function, and more are answered 429"
_OWN_TOKEN = "the stack's own token opens the API here (flowforge token)"  # noqa: S105
_NO_VPC = "functions reach what this machine reaches"

WITHOUT_EFFECT: Mapping[str, str] = {
    "AlarmEmail": _NO_CLOUDWATCH,
    "AlarmTopicArn": _NO_CLOUDWATCH,
    "AlarmWaitingMinutes": _NO_CLOUDWATCH,
    "ApiBurst": _NO_RATE,
    "ApiRequestsPerSecond": _NO_RATE,
    "ApiTokenAudiences": _OWN_TOKEN,
    "ApiTokenIssuer": _OWN_TOKEN,
    "Architecture": "functions run on this machine's own",
    "Dashboard": _NO_CLOUDWATCH,
    "DeletionProtection": "tables end with the stack, or stay in its --data-dir",
    "KmsKeyArn": "nothing is encrypted by a key here; keep --data-dir on an encrypted disk",
    "LakeVersionDays": _NO_LIFECYCLE,
    "LineageRetentionDays": _NO_LIFECYCLE,
    "LogRetentionDays": "logs are files of the state folder",
    "MonthlyBudget": _NO_CLOUDWATCH,
    "ReceiversInVpc": _NO_VPC,
    "SecurityGroupIds": _NO_VPC,
    "SubnetIds": _NO_VPC,
}
REFUSED = {
    ("LakeBucketExists", "true"): (
        "a local stack makes its own bucket, and none is there before it; leave the parameter out (with --s3-endpoint, a bucket "
        "that is there already under LakeBucketName is taken as it is)"
    )
}


def refuse(given: Mapping[str, str]) -> None:
    """Raises TemplateError for values by which a stack cannot run here, with what to do."""
    for (name, value), reason in REFUSED.items():
        if given.get(name) == value:
            raise TemplateError(f"parameter {name}={value}: {reason}")


def without_effect(given: Iterable[str]) -> list[str]:
    """A line for each parameter that is given and does nothing here, with the reason."""
    return [f"parameter {name} has no effect here: {WITHOUT_EFFECT[name]}" for name in given if name in WITHOUT_EFFECT]
