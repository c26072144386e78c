"""The SAM template as plain CloudFormation, expanded once by AWS's own translator, offline.

Guarantees that the local stack knows no function, queue, table, rule or route but those of the template: what
this module returns is all that the rest of the stack reads. Intrinsic functions are still in it (`intrinsics.py`).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local import expansions

REGION = "us-east-1"
ACCOUNT = "123456789012"  # the one account that moto knows


class TemplateError(Exception):
    """The template, or a parameter given for it, cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Template:
    """An expanded template. `resources` is by logical id, after conditions; `code` gives the folder of each S3 key."""

    root: Path
    resources: dict[str, dict[str, Any]]
    parameters: dict[str, Any]
    conditions: dict[str, Any]
    mappings: dict[str, Any]
    code: dict[str, Path]


class _NoManagedPolicies:
    """SAM asks IAM for the names of managed policies; there is no IAM here, and no policy is used."""

    def load(self) -> dict[str, str]:
        return {}


def expand(path: Path, parameters: Mapping[str, str]) -> Template:
    """Read a SAM template and expand it with the given parameter values and the defaults of the others.

    Raises TemplateError for a template that SAM refuses, a parameter it does not declare, a value that CloudFormation
    would refuse, and a parameter that has neither value nor default.
    """
    # The translator looks for a region before it looks at the template.
    region = os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    if not path.is_file():
        raise TemplateError(f"no template at {path}")
    text, root = path.read_text(encoding="utf-8"), path.resolve().parent
    name = expansions.name_of(text, parameters, region)
    expanded = expansions.find(name)
    if expanded is None:
        expanded = _expanded(text, parameters)
        expansions.keep(name, expanded)
    return Template(
        root=root,
        resources=expanded["resources"],
        parameters=expanded["parameters"],
        conditions=expanded["conditions"],
        mappings=expanded["mappings"],
        code={key: (root / folder).resolve() for key, folder in expanded["code"].items()},
    )


def _expanded(text: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """What a template and its parameters say, as JSON can hold it."""
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    from infra.local.template_text import read_yaml

    source = read_yaml(text)
    values = parameter_values(source.get("Parameters") or {}, parameters)
    code = _replace_local_code(source)
    order = {logical: position for position, logical in enumerate(source["Resources"])}
    try:
        # It asks for a loader class of its own, of which it calls `load`.
        policies: Any = _NoManagedPolicies()
        expanded = transform(source, dict(parameters), policies)
    except InvalidDocumentException as error:
        raise TemplateError("; ".join(cause.message for cause in error.causes)) from error
    return {
        # The translator returns them in any order; in the template's, two starts of a stack do the same.
        "resources": dict(
            sorted(expanded["Resources"].items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
        ),
        "parameters": values,
        "conditions": expanded.get("Conditions") or {},
        "mappings": expanded.get("Mappings") or {},
        "code": code,
    }


def parameter_values(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, Any]:
    """Return every declared parameter's value; comma-delimited lists become lists."""
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"no such parameter: {', '.join(unknown)}; the template has {', '.join(sorted(declared))}")
    values = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is None:
            raise TemplateError(f"parameter {name} has no default: give --parameter {name}=VALUE")
        allowed = [str(choice) for choice in declaration.get("AllowedValues", [])]
        if allowed and str(value) not in allowed:
            raise TemplateError(f"parameter {name} is {value!r}; allowed are {', '.join(allowed)}")
        if problem := _refused(declaration, str(value)):
            raise TemplateError(
                f"parameter {name} is {value!r}: {problem}; {declaration.get('Description', '')}".rstrip("; ")
            )
        is_list = "List" in declaration.get("Type", "String") and not isinstance(value, list)
        values[name] = [part.strip() for part in str(value).split(",")] if is_list else value
    return values


def _refused(declaration: Mapping[str, Any], value: str) -> str | None:
    """What CloudFormation has against a parameter's value, by its type, bounds and pattern."""
    if declaration.get("Type") == "Number":
        try:
            number = float(value)
        except ValueError:
            return "it is not a number"
        least, most = float(declaration.get("MinValue", "-inf")), float(declaration.get("MaxValue", "inf"))
        if not least <= number <= most:
            return f"at least {least:g}" if number < least else f"at most {most:g}"
    pattern = declaration.get("AllowedPattern")
    return f"it does not match {pattern}" if pattern and not re.fullmatch(pattern, value) else None


def _replace_local_code(source: dict[str, Any]) -> dict[str, str]:
    """Give local code folders the S3 addresses that SAM insists on; return the folder that each address stands for."""
    code: dict[str, str] = {}
    owners = [resource.get("Properties") or {} for resource in source["Resources"].values()]
    owners += [section for section in (source.get("Globals") or {}).values() if isinstance(section, dict)]
    for owner in owners:
        for name in ("CodeUri", "ContentUri"):
            if isinstance(owner.get(name), str):
                key = f"code-{len(code)}"
                code[key] = owner[name]
                owner[name] = f"s3://local/{key}"
    return code
