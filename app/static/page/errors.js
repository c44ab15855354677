// Errors in plain words: by the server's code where there are words for it, else the server's own sentence.

import { knows } from "./i18n.js";

// Codes that mean the same to a person.
const SAME = {
  undecodable: "not_media",
  damaged: "not_media",
  bad_book: "not_a_book",
  bad_contents: "not_a_book",
  empty_chapter: "nothing_to_speak",
  redis_away: "unavailable",
  store_failed: "unavailable",
  store_read_only: "unavailable",
  http_502: "unavailable",
  http_503: "unavailable",
  http_504: "unavailable",
  http_413: "too_large",
  content_too_large: "too_large",
  request_entity_too_large: "too_large",
  unknown_speaker: "unknown_voice",
  bad_pinyin: "bad_markup",
  bad_annotation: "bad_markup",
  bad_zip: "zip_bomb",
};

// Returns the key and the arguments of the words for an error.
export function plain(code, detail) {
  const key = `error.${SAME[code] || code}`;
  return knows(key) ? { key, args: { detail } } : { key: "error.other", args: { detail } };
}
