// Chinese and English. An element remembers which words it shows, so that a switch of language needs no new elements.

import { rememberText } from "./storage.js";
import en from "./words/en.js";
import zh from "./words/zh.js";

const WORDS = { en, zh };
let current = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

export const language = () => current;
export const locale = () => (current === "zh" ? "zh-CN" : "en");
export const knows = (key) => key in WORDS[current];

export function t(key, args = {}) {
  const found = WORDS[current][key] ?? WORDS.en[key] ?? key;
  return typeof found === "function" ? found(args) : found;
}

// Shows words in an element, now and after a switch of language.
export function say(element, key, args = {}) {
  element.dataset.t = key;
  element.dataset.tArgs = JSON.stringify(args);
  const text = t(key, args);
  if (element.textContent !== text) element.textContent = text;
}

// The same for an attribute: aria-label, title or placeholder.
export function sayIn(element, attribute, key, args = {}) {
  element.setAttribute(`data-t-${attribute}`, JSON.stringify([key, args]));
  const text = t(key, args);
  if (element.getAttribute(attribute) !== text) element.setAttribute(attribute, text);
}

export function unsay(element, text = "") {
  delete element.dataset.t;
  delete element.dataset.tArgs;
  if (element.textContent !== text) element.textContent = text;
}

const ATTRIBUTES = ["aria-label", "title", "placeholder"];

export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t, JSON.parse(element.dataset.tArgs || "{}"));
  }
  for (const attribute of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[data-t-${attribute}]`)) {
      const given = element.getAttribute(`data-t-${attribute}`);
      const [key, args] = given.startsWith("[") ? JSON.parse(given) : [given, {}];
      element.setAttribute(attribute, t(key, args));
    }
  }
}

export function setLanguage(wanted) {
  current = wanted;
  rememberText("language", wanted);
  document.documentElement.lang = locale();
  translate();
  document.dispatchEvent(new CustomEvent("language"));
}
