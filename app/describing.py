"""How an operation of the API is described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

SUBMIT_ERRORS = (400, 401, 403, 409, 413, 415, 422, 429, 503)


@dataclass(frozen=True)
class Parameter:
    """A parameter outside the body."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class Body:
    """A request body: JSON of a model, a form with files, or both."""

    model: type[BaseModel]
    json: bool = True
    json_needs: Sequence[str] = ()
    """Fields of which JSON needs one because it carries no file; a form has the file in their place."""
    files: Mapping[str, bool] = field(default_factory=dict)
    """File fields; True: many."""
    form_needs: Sequence[str] = ()
    """Fields of which a form needs one; default: the first file."""
    raw: Mapping[str, str] = field(default_factory=dict)
    """Other media types, with what they hold."""
    required: bool = True


@dataclass(frozen=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    success: Mapping[int, str]
    errors: Sequence[int] = ()
    answer: type[BaseModel] | None = None
    media_types: Sequence[str] = ()
    """Of an answer that is no JSON, or not always."""
    body: Body | None = None
    parameters: Sequence[Parameter] = ()
    description: str = ""
    open: bool = False
    """Needs no key."""
    openai: bool = False
    """Its errors have OpenAI's form."""


def query_parameters(model: type[BaseModel]) -> list[Parameter]:
    """Return the fields of a query's model as parameters."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = []
    for name, field_schema in schema["properties"].items():
        shown = _inlined(field_schema, definitions)
        if shown.get("type") == "object":
            shown = {"type": "string", "contentMediaType": "application/json", "description": shown.get("description")}
        found.append(Parameter(name, "query", str(shown.pop("description", "")), shown))
    return found


def _inlined(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional query field: without references, titles and null, which a query cannot say."""
    found = {name: value for name, value in schema.items() if name not in {"title", "default"} or value is not None}
    found.pop("title", None)
    for option in found.pop("anyOf", []):
        if option.get("type") != "null":
            found |= _inlined(option, definitions)
    reference = found.pop("$ref", "")
    if reference:
        found |= {
            name: value
            for name, value in definitions[reference.rsplit("/", 1)[-1]].items()
            if name not in {"title", "description"}
        }
    return found
