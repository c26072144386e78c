"""What the API's questions and answers have in common."""

from pkgutil import resolve_name
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import SerializerFunctionWrapHandler


class Answer(BaseModel):
    """What a route answers. Fields that were not given are left out, and others than those named here go along."""

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def _as_given(
        self, handler: SerializerFunctionWrapHandler
    ):  # a return type would take the fields' place in the schema
        known = type(self).model_fields
        return {
            name: value for name, value in handler(self).items() if name in self.model_fields_set or name not in known
        }


class ShownAs:
    """A document that the schema shows as a model, `module:name`, and that is read later. Who passes it on loads none."""

    def __init__(self, model: str) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(resolve_name(self._model).__pydantic_core_schema__)


class Mistake(Answer):
    """One mistake of a request: where, and what was expected."""

    field: str
    problem: str


class Refusal(Answer):
    """What every error answers. The gateway's own (no such route, too many calls) have a message alone."""

    message: str
    error: str | None = Field(None, description="class of the error; docs/operations.md tells what each means")
    remedy: str | None = Field(None, description="what to do about it")
    line: int | None = Field(None, description="of SQL that is refused, where one is known: from 1")
    mistakes: list[Mistake] | None = Field(None, description="of a request that is refused with 400")


def unless_empty(default: Any) -> BeforeValidator:
    """A parameter that is given without a value counts as not given."""
    return BeforeValidator(lambda value: default if value == "" else value)


Cursor = Annotated[str | None, Field(description="an answer's `next`: the page goes on behind it"), unless_empty(None)]


class Page(Answer):
    """A page of a list."""

    next: str | None = Field(None, description="there where others follow: the next page's `cursor`")
