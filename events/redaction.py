"""What may be kept and shown of a request: all that its contract knows, without a secret.

Guarantees: pure. A copy holds the values of known fields only; a value under any other name, of another shape, or in a field
for a password becomes REDACTED, whatever it is called and however deep it lies. Passwords inside known texts (connection
strings, addresses with a login, login strings in SQL) are taken out, and so is the document's own password wherever it
stands again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

REDACTED = "***redacted***"
SQL_FIELDS = ("query", "sql")
FREE_TEXTS = ("workflow_name", "job_name")  # without which a request is the same
SECRET_ID = re.compile(r"[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)+")
NAMES_OF_SECRETS = (
    "secretId",
    "protectionKey",
)  # fields with the name of a secret: what is none may be the secret itself
SHORTEST = 6  # characters of a password that is looked for in other texts; a shorter one is in many words
_PLAIN_NAME = re.compile(r"[A-Za-z_$#@-][A-Za-z0-9_.$#@-]{0,63}|\d{1,6}")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|credential|api.?key|access.?key|account.?key", re.IGNORECASE)
_LOGIN = re.compile(
    r"""((?:password|passwd|pwd|passphrase|secret|token|(?:api|access|account)[ _-]?key)[\\"']*\s*[=:]\s*)(?![\s=])[^;\r\n]+""",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"""(?<=://)[^\s/?#"'@:]{0,200}:[^\s"']{0,1000}@""")
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)")
_IN_LITERAL = re.compile(r"\b(?:password|pwd)\s*=", re.IGNORECASE)
_ADHOC = re.compile(
    r"\bOPEN(?:ROWSET|DATASOURCE)\s*\((?:[^;()]*;){2}[^)]*\)?", re.IGNORECASE
)  # 'server';'user';'password'


def redacted(document: Any, contract: type[BaseModel], *, everywhere: bool) -> Any:
    """A copy of a parsed document (`events.documents.read_json`) as it may be kept.

    A secret that stands again in another text is taken out of it `everywhere`, or of free texts only, where the copy must
    mean the same: a weak password may be a table's name.
    """
    secrets = sorted(_secrets_in(document), key=len, reverse=True)
    return _Copy(secrets, everywhere).of(document, [contract], "")


def hide_secrets(text: str, name: str = "") -> str:
    """A text without the passwords that its own form shows; `name` is the field that it stands in."""
    if name in SQL_FIELDS:
        text = _LITERAL.sub(lambda found: f"'{REDACTED}'" if _IN_LITERAL.search(found[0]) else found[0], text)
        text = _ADHOC.sub(REDACTED, text)
    else:
        text = _LOGIN.sub(rf"\1{REDACTED}", text)
    return _ADDRESS.sub(f"{REDACTED}@", text)


def shown_name(name: Any) -> str:
    """A field's name as it may be shown: a name that is none may hold anything."""
    text = str(name)
    return text if _PLAIN_NAME.fullmatch(text) else "(unreadable name)"


def secrets_in_texts(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(path, problem) of each text that shows a secret where none belongs, or from which one was taken out."""
    if isinstance(document, dict | list):
        named = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in named:
            yield from secrets_in_texts(value, (*path, shown_name(name)))
    elif isinstance(document, str) and path:
        if REDACTED in document:
            yield ".".join(path), "its secret was taken out of this copy: put it in again"
        elif path[-1] not in ("password", *NAMES_OF_SECRETS) and hide_secrets(document, path[-1]) != document:
            yield ".".join(path), "holds a password: it would be kept in clear; only connection.password is kept secret"


@dataclass(frozen=True)
class _Copy:
    """How one document is copied: its secrets, longest first."""

    secrets: list[str]
    everywhere: bool

    def of(self, value: Any, annotations: list[Any], name: str) -> Any:
        """The value of a field of that name, of which the contract says this."""
        if isinstance(value, list):
            return [self.of(item, annotations, name) for item in value]
        models = [model for annotation in annotations for model in _models_in(annotation)]
        if isinstance(value, dict) and any(get_origin(annotation) is dict for annotation in annotations):
            return {self._of_text(str(key), ""): self.of(inner, [], name) for key, inner in value.items()}
        if isinstance(value, dict):
            return self._of_object(value, models) if models else REDACTED
        if name == "password" and value is not None:
            return REDACTED
        return self._of_text(value, name) if isinstance(value, str) else value

    def _of_object(self, given: dict[str, Any], models: list[type[BaseModel]]) -> dict[str, Any]:
        kept = {}
        for name, value in given.items():
            known = [model.model_fields[name].annotation for model in models if name in model.model_fields]
            kept[shown_name(name)] = self.of(value, known, name) if known else REDACTED
        return kept

    def _of_text(self, value: str, name: str) -> str:
        if name in NAMES_OF_SECRETS and not SECRET_ID.fullmatch(value):
            return REDACTED
        text = hide_secrets(value, name)
        for secret in self.secrets if self.everywhere or name in FREE_TEXTS else []:
            text = text.replace(secret, REDACTED)
        return text


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _secrets_in(document: Any, is_secret: bool = False) -> set[str]:
    """The texts under names that say that they are secret, long enough to be found again."""
    if isinstance(document, dict):
        found = (_secrets_in(value, is_secret or bool(_SECRET_NAME.search(name))) for name, value in document.items()
                 if name not in ("secretId", "protect", "rename", "cast"))  # fmt: skip
        return set().union(*found)
    if isinstance(document, list):
        return set().union(*(_secrets_in(value, is_secret) for value in document))
    return {document} if is_secret and isinstance(document, str) and len(document) >= SHORTEST else set()
