"""A column of a source, with its type, and what becomes of its values before they are written."""

from typing import Any, Literal, Self, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from events.choices import Derivation
from flowforge.domain.column_types import earlier_column, parse_type

AnyDerivation = Derivation | Literal["digit"]  # the last is never asked for: a key of seven digits has it


class Protection(BaseModel):
    """What becomes of a column's values before they are written: `how` as a request has it; of hmac the `secret` that has the
    key, and the key's own id, which tells it from another one and nothing more."""

    model_config = ConfigDict(frozen=True)

    how: str
    secret: str = ""
    key_id: str = ""

    @property
    def text(self) -> str:
        """In words, for people; equal where equal values become equal ones."""
        return f"{self.how} by key {self.key_id}" if self.key_id else self.how


class SourceColumn(BaseModel):
    """A source column: `type` is neutral (`column_types`), `sql_type` what the source calls it, for people and for that source
    (empty: it has no word of its own).

    `collation` is what texts compare by, where the source says; `padded`: blanks at the end of a text, and zeros at the end of
    bytes, do not count there; `code_page`: its texts are compared by the table of a code page. With `derivation` it is none of
    the catalog's, but made by the source from the column `of`. `masked`: the server gives this login masks in place
    of its values, or may do so. `column_id` stays when a column is renamed (0: not known); `default` is the definition of its
    default, as the server keeps it, `constant` the value that this gives to each row, as text, where it is one for sure.
    With a `protection` the `type` is that of what is written, and `sql_type` what the source has.
    `source_name` is there where the request gives it another name, `cast_from` where the request has the SELECT make another type
    of it: that is then the source's own, and `sql_type` the one that arrives.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: str = ""
    sql_type: str = ""
    nullable: bool = True
    collation: str | None = None
    padded: bool = False
    code_page: bool = False
    # `companion` is the name in records and footers of earlier versions.
    derivation: AnyDerivation | None = Field(default=None, validation_alias=AliasChoices("derivation", "companion"))
    of: str | None = None
    masked: bool = False
    column_id: int = 0
    default: str | None = None
    constant: str | None = None
    computed: bool = False
    protection: Protection | None = None
    source_name: str = ""
    cast_from: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_neutral_type(cls, given: Any) -> Any:
        """Records and footers of earlier versions have the source's own word alone."""
        if not isinstance(given, dict):
            return given
        record = cast("dict[str, Any]", given)
        is_earlier = record.get("sql_type") and not record.get("type")
        return record | earlier_column(record) if is_earlier else record

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        parse_type(self.type)
        return self

    @property
    def at_source(self) -> str:
        """What the source calls it."""
        return self.source_name or self.name

    @property
    def type_at_source(self) -> str:
        """The type there; see `declared`."""
        return self.cast_from or self.declared

    @property
    def declared(self) -> str:
        """The type as people know it: the source's own word, where it has one."""
        return self.sql_type or self.type
