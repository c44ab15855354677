"""A book's dry run for people: a line for each chapter, and what will not be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a plan as `voxqueue book --plan` prints them; chapters that are not chosen have a dash."""
    author = f", {plan['author']}" if plan["author"] else ""
    yield f"{plan['title'] or 'untitled'}{author}"
    yield (
        f"{plan['chapters_selected']} of {plan['chapters_total']} chapters, {plan['characters']} characters, "
        f"about {plan['hours_estimated']:.1f} hours"
    )
    for chapter in plan["chapters"]:
        minutes = f"{chapter['seconds_estimated'] / 60:.1f} min" if chapter["selected"] else "-"
        voice = f"  [{chapter['voice']}]" if chapter["voice"] else ""
        skipped = ", ".join(f"{count} {what}" for what, count in chapter["skipped"].items())
        without = f"  (without {skipped})" if skipped else ""
        yield f"{chapter['chapter']:>5}  {minutes:>9}  {chapter['title']}{voice}{without}: {chapter['first_line']}"
    if plan["dialogue_voice"]:
        quoted = sum(chapter["dialogue_characters"] for chapter in plan["chapters"] if chapter["selected"])
        yield f"{quoted} characters of quoted speech by {plan['dialogue_voice']}"
    for word, count in plan["dictionary"].items():
        yield f"dictionary: {word} stands {count} times in the text"
    for page in plan["left_out"]:
        yield f"not read: {page['title'] or 'a page'} ({page['reason']})"
    for warning in plan["warnings"]:
        yield f"warning: {warning['detail']}"
