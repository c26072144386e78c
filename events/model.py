"""The two bases of every contract: strict requests and tolerant messages.

A request comes from a person, so an unknown field is a typing mistake and is refused. A message comes from another
function, perhaps of a newer version, so unknown fields are ignored: that is what makes a rolling upgrade work.
Both are frozen: a message is a fact or an order, never a scratch pad.
"""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

SCHEMA_VERSION = 1


class Request(BaseModel):
    """A document written by a user; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """What is wrong between fields of the document as given: a problem, or (path below this model, problem)."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _every_mistake(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Checks fields and what is between them in one go, so that one mistake does not hide another."""
        errors: list[InitErrorDetails] = []
        made = None
        try:
            made = handler(given)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_context=False):
                kind = _mistake(found["type"], found["msg"])
                errors.append(InitErrorDetails(type=kind, loc=found["loc"], input=None))
        if isinstance(given, dict):
            for found in cls.contradictions(given):
                path, problem = ((), found) if isinstance(found, str) else (tuple(found[0].split(".")), found[1])
                errors.append(InitErrorDetails(type=_mistake("value_error", problem), loc=path, input=None))
        if errors or made is None:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return made


def _mistake(kind: str, problem: str) -> PydanticCustomError:
    # Pydantic asks for texts from the code, for it fills in placeholders; without a context it leaves the text alone.
    return PydanticCustomError(kind, problem)  # pyright: ignore[reportArgumentType]


class Message(BaseModel):
    """A command or event between functions; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    schema_version: int = SCHEMA_VERSION


class Dispatched(Message):
    """A message that goes on its own, to whoever takes its type. The type is the class's name; one without is of an earlier
    version, see `events.dispatch`."""

    type: str = ""
