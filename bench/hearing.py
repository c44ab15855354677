"""Comparing what was heard with what was spoken."""

import unicodedata


def letters(text):
    """Return the text without punctuation and spaces, which no ear can hear."""
    return [c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] in "LN"]


def distance(spoken, heard):
    """Return the edit distance of two sequences (insertions, deletions, substitutions)."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(spoken, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def character_error_rate(pairs):
    """Return the summed edit distance of (spoken, heard) pairs by the summed length of what was spoken."""
    errors = sum(distance(letters(spoken), letters(heard)) for spoken, heard in pairs)
    return errors / sum(len(letters(spoken)) for spoken, _ in pairs)
