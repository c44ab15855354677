"""Fields of a multipart body as the values that a model wants: lists with commas, objects as JSON."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from app.bodies import parse_json
from app.problems import Refusal

Shape = Literal["one", "list", "object"]


def shape_of(annotation: Any) -> Shape:
    """Return how a field of this type is written in a form."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape_of(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return next((shape_of(one) for one in get_args(annotation) if one is not type(None)), "one")
    if origin is list:
        return "list"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "object"
    return "one"


def form_value(model: type[BaseModel], fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a form as the object that `model` validates. Empty fields count as absent. Raises `Refusal`."""
    found: dict[str, Any] = {}
    for name, given in fields.items():
        values = [value for value in given if value.strip()]
        if not values:
            if name not in model.model_fields:
                found[name] = ""
            continue
        field = model.model_fields.get(name)
        found[name] = _value(name, values, shape_of(field.annotation) if field else "one")
    return found


def _value(name: str, values: Sequence[str], shape: Shape) -> Any:
    if shape == "list" and not values[0].lstrip().startswith("["):
        return [part.strip() for value in values for part in value.split(",") if part.strip()]
    if len(values) > 1:
        raise Refusal.of_field(name, "is given more than once", 1)
    if shape == "one":
        return values[0]
    try:
        return parse_json(values[0])
    except Refusal as error:
        raise Refusal.of_field(name, f"must be JSON; {error.detail.removeprefix('the body is no JSON: ')}") from error
