"""Fields of a multipart body, or of a query, as the object that a model validates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from pydantic import BaseModel

from app.problems import Refusal
from jobs.fields import shapes_of, value_of


def form_value(model: type[BaseModel], fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a form as the object that `model` validates. Empty fields count as absent. Raises `Refusal`."""
    found: dict[str, Any] = {}
    shapes = shapes_of(model)
    for name, given in fields.items():
        values = [value for value in given if value.strip()]
        if not values:
            if name not in shapes:
                found[name] = ""
            continue
        try:
            found[name] = value_of(values, shapes.get(name, "one"))
        except ValueError as error:
            raise Refusal.of_field(name, str(error)) from error
    return found


def query_value(model: type[BaseModel]) -> dict[str, Any]:
    """Return the query of this request as the object that `model` validates. Raises `Refusal`."""
    return form_value(model, request.args.to_dict(flat=False))
