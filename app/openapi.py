"""The OpenAPI 3.1 document, built from the models that validate the requests."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app import schemas
from app.describing import Body, Operation, Parameter
from app.operations import OPERATIONS

REFERENCE = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"
INFO = {
    "title": "Voxqueue",
    "version": "1",
    "description": "Submit a text or a recording, get a job ID at once, poll it, fetch the audio or the transcript.",
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
ERRORS = {
    400: "The body or a header is malformed.",
    401: "A key is needed.",
    403: "Not allowed from here.",
    404: "There is no such job or file, or it is another owner's.",
    408: "The body came too slowly.",
    409: "The job's state, or an Idempotency-Key used with another request, forbids it.",
    413: "The body is over the limit.",
    415: "The body or the file is of another media type.",
    416: "The range is not in the file.",
    422: "A field is wrong; `errors` names it and its limit.",
    429: "The queue is full; `Retry-After` says when to try again.",
    500: "The server failed.",
    503: "Redis or the store is away; `Retry-After` says when to try again.",
}
RETRIED = frozenset({429, 503})
BODILESS = frozenset({204, 304})


@functools.cache
def document() -> dict[str, Any]:
    """Return the document."""
    models = _models(OPERATIONS)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    components = definitions["$defs"]
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}, {}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": _paths(components),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "voxqueue_session"},
            },
        },
    }


def _models(operations: Sequence[Operation]) -> list[type[BaseModel]]:
    found: dict[type[BaseModel], None] = {schemas.ProblemObject: None, schemas.OpenAIErrorObject: None}
    for operation in operations:
        if operation.body is not None:
            found[operation.body.model] = None
        if operation.answer is not None:
            found[operation.answer] = None
    return list(found)


def _paths(components: dict[str, Any]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, components)
    return paths


def _operation(operation: Operation, components: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(operation),
    }
    if operation.description:
        found["description"] = operation.description
    if operation.parameters:
        found["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        found["requestBody"] = {"required": operation.body.required, "content": _content(operation.body, components)}
    if operation.open:
        found["security"] = []
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _content(body: Body, components: dict[str, Any]) -> dict[str, Any]:
    """Return the request body for each media type: JSON as the model has it, a form with files beside its fields."""
    content: dict[str, Any] = {}
    model = body.model.__name__
    if body.json:
        reference = {"$ref": REFERENCE.format(model=model)}
        needs = _needs(body.json_needs)
        content["application/json"] = {"schema": {"allOf": [reference], **needs} if needs else reference}
    if body.files:
        form = copy.deepcopy(components[model])
        form["description"] = "Lists with commas or repeated, objects as JSON strings."
        for name in body.json_needs:
            form["properties"].pop(name, None)
        file = {"type": "string", "format": "binary"}
        for name, many in body.files.items():
            form["properties"][name] = {"type": "array", "items": file} if many else file
        form |= _needs(body.form_needs or list(body.files)[:1], form.get("required", ()))
        content["multipart/form-data"] = {"schema": form}
    for media_type, description in body.raw.items():
        content[media_type] = {"schema": {"type": "string", "description": description}}
    return content


def _needs(one_of: Sequence[str], all_of: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a schema says of fields of which it needs one, beside those of which it needs all."""
    if len(one_of) > 1:
        required: dict[str, Any] = {"required": list(all_of)} if all_of else {}
        return {**required, "anyOf": [{"required": [name]} for name in one_of]}
    return {"required": [*all_of, *one_of]} if one_of or all_of else {}


def _answers(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {} for media_type in operation.media_types}  # bytes and events: any
    if operation.answer is not None:
        content["application/json"] = {"schema": {"$ref": REFERENCE.format(model=operation.answer.__name__)}}
    return content


def _responses(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, description in operation.success.items():
        success: dict[str, Any] = {"description": description}
        if status not in BODILESS and (content := _answers(operation)):
            success["content"] = content
        if status == 202 and operation.body is not None:
            success["headers"] = {
                "Location": {"description": "The job's address.", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds until it is worth to look.", "schema": {"type": "integer"}},
            }
        found[str(status)] = success
    form, media_type = (
        (schemas.OpenAIErrorObject, "application/json") if operation.openai else (schemas.ProblemObject, PROBLEM)
    )
    problem = {"$ref": REFERENCE.format(model=form.__name__)}
    for status in sorted({*operation.errors, *([408] if operation.body else []), 500}):
        error: dict[str, Any] = {"description": ERRORS[status], "content": {media_type: {"schema": problem}}}
        if status in RETRIED:
            error["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        found[str(status)] = error
    return found
