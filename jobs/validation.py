"""pydantic's errors in our words: the field, what is wrong, the limit, the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

LIMITS = ("le", "lt", "ge", "gt", "max_length", "min_length", "expected", "pattern")
MOST_ERRORS = 20
WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "string_too_long": "has {given} characters; at most {max_length} are allowed",
    "too_long": "has {given} entries; at most {max_length} are allowed",
    "too_short": "needs at least {min_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "url_parsing": "must be an address such as https://example.com/a.wav; {error}",
    "url_scheme": "must begin with http:// or https://",
}
FORMS = {
    "language": "must be an ISO 639 code such as zh or en",
    "what": "must be a queue, a kind or an owner such as queue:tts, kind:audiobook or owner:ann",
}
"""What fields with a pattern hold, for who reads no patterns."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    detail: str
    limit: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        found: dict[str, Any] = {"field": self.field, "detail": self.detail}
        return found if self.limit is None else {**found, "limit": self.limit}


def field_name(location: Sequence[str | int]) -> str:
    """Return a location such as `("chapters", 3, "title")` as `chapters[3].title`."""
    name = ""
    for step in location:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            name += f".{step}" if name else str(step)
    return name or "body"


def explain(error: ValidationError, model: type[BaseModel] | None = None) -> list[FieldError]:
    """Return the fields of a validation error, at most `MOST_ERRORS` of them."""
    found = error.errors(include_url=False, include_input=True)
    return [_explain_one(dict(one), model) for one in found[:MOST_ERRORS]]


def _explain_one(error: Mapping[str, Any], model: type[BaseModel] | None) -> FieldError:
    context = dict(error.get("ctx", {}))
    location = [step for step in error["loc"] if step not in {"function-after", "[key]"}]
    limit = next((context[name] for name in LIMITS if name in context), None)
    return FieldError(field_name(location), _words(error, context, model), limit)


def _words(error: Mapping[str, Any], context: dict[str, Any], model: type[BaseModel] | None) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return "is not a field of this request" + _nearest(error["loc"], model)
    if kind in {"string_too_short", "too_short"} and context.get("min_length") == 1:
        return "must not be empty"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return FORMS.get(error["loc"][-1], f"must match {context['pattern']}")
    given = error.get("input")
    if kind == "too_long" and isinstance(given, str):  # what a field that may also be None says of a string
        kind = "string_too_long"
    context["given"] = context.get("actual_length") or (len(given) if isinstance(given, (str, list, dict)) else None)
    try:
        return WORDS[kind].format(**context)
    except KeyError:
        return str(error["msg"])


def _nearest(location: Sequence[str | int], model: type[BaseModel] | None) -> str:
    *path, name = location
    for step in path:
        if model is not None and isinstance(step, str):
            model = next(_models(model.model_fields[step].annotation), None) if step in model.model_fields else None
    if model is None:
        return "; remove it"
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
