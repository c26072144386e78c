"""The text of a template, read by libyaml where PyYAML has it: the translator's own way through Python takes half a second."""

from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(Loader):
    """Safe, and knows the short forms of CloudFormation's functions, as `!Ref`."""


_TemplateLoader.add_multi_constructor("!", intrinsics_multi_constructor)


def read_yaml(text: str) -> Any:
    """What `samtranslator.yaml_helper.yaml_parse` gives; raises yaml.YAMLError."""
    return yaml.load(text, _TemplateLoader)  # noqa: S506  it is a safe one
