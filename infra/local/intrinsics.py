"""CloudFormation's intrinsic functions over an expanded template.

A Ref or GetAtt to a resource is answered by whoever creates resources, which lets it create them on demand, in
the order in which they need one another. Nothing is guessed: an intrinsic that is not known here is an error.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

from infra.local.template import ACCOUNT, REGION, Template, TemplateError


class Intrinsics:
    """Resolves values of one template.

    `reference(logical id)` gives what Ref and GetAtt answer for a resource: (ref, attributes).
    """

    def __init__(
        self, template: Template, stack_name: str, reference: Callable[[str], tuple[Any, dict[str, Any]]]
    ) -> None:
        self._template, self._reference = template, reference
        self._values = {
            **template.parameters,
            "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": stack_name, "AWS::NoValue": None,
            "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack_name}/local",
        }  # fmt: skip
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": lambda arg: self.resolve(arg[1] if self.condition(arg[0]) else arg[2]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Join": lambda arg: self._join(*self.resolve(arg)),
            "Fn::Select": lambda arg: self._select(*self.resolve(arg)),
            "Fn::Split": lambda arg: self._split(*self.resolve(arg)),
            "Fn::Base64": lambda arg: base64.b64encode(self.resolve(arg).encode()).decode(),
            "Fn::Equals": lambda arg: len({str(self.resolve(side)) for side in arg}) == 1,
            "Fn::Not": lambda arg: not self.resolve(arg[0]),
            "Fn::And": lambda arg: all(self.resolve(part) for part in arg),
            "Fn::Or": lambda arg: any(self.resolve(part) for part in arg),
        }

    def resolve(self, node: Any) -> Any:
        """Return the node with every intrinsic replaced; what resolves to AWS::NoValue is left out."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            # `Condition` is also an ordinary key, of an IAM statement: there it holds a mapping.
            if name in self._functions and not (name == "Condition" and not isinstance(argument, str)):
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise TemplateError(f"{name} is not supported by the local stack")
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not None}

    def condition(self, name: str) -> bool:
        """Tell whether a condition of the template holds."""
        if name not in self._template.conditions:
            raise TemplateError(f"the template has no condition {name}")
        return bool(self.resolve(self._template.conditions[name]))

    def _ref(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._reference(name)[0]

    def _get_att(self, argument: str | list[str]) -> Any:
        logical, _, attribute = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")
        try:
            return self._reference(logical)[1][attribute]
        except KeyError:
            raise TemplateError(f"the local stack does not know {logical}.{attribute}") from None

    def _sub(self, argument: str | list[Any]) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        values = {name: self.resolve(value) for name, value in given.items()}

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in values:
                return str(values[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replace, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        table, first, second = (str(self.resolve(part)) for part in argument[:3])
        return self.resolve(self._template.mappings[table][first][second])

    @staticmethod
    def _join(separator: str, parts: list[Any]) -> str:
        return separator.join(map(str, parts))

    @staticmethod
    def _select(index: Any, choices: list[Any]) -> Any:
        return choices[int(index)]

    @staticmethod
    def _split(separator: str, text: str) -> list[str]:
        return text.split(separator)
