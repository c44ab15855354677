"""Values written as text, in forms, in queries and in the cells of a CSV: lists with commas, objects as JSON."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import from_json

Shape = Literal["one", "list", "object"]


def shape_of(annotation: Any) -> Shape:
    """Return how a field of this type is written as text."""
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


def shapes_of(*models: type[BaseModel]) -> Mapping[str, Shape]:
    """Return how the fields of some models are written."""
    return {name: shape_of(field.annotation) for model in models for name, field in model.model_fields.items()}


def value_of(written: Sequence[str], shape: Shape) -> Any:
    """Return the value for a model to validate; only a list is written in several texts. Raises `ValueError`."""
    if shape == "list" and not written[0].lstrip().startswith("["):
        return [part.strip() for text in written for part in text.split(",") if part.strip()]
    if len(written) > 1:
        raise ValueError("is given more than once")
    if shape == "one":
        return written[0]
    try:
        return from_json(written[0], allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"must be JSON; {error}") from error
