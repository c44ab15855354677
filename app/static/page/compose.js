// The forms: three tabs, and files dropped anywhere on the page go to the right one.

import { byId, show } from "./dom.js";
import { filesOf } from "./dropped.js";
import { features } from "./features.js";
import { setUpBook } from "./compose-book.js";
import { setUpListen } from "./compose-listen.js";
import { isBatch, isList } from "./lists.js";
import { setUpSpeak } from "./compose-speak.js";
import { refreshVoices } from "./voices.js";

const TABS = ["speak", "listen", "book"];
const BOOKS = /\.(epub|txt|md|markdown)$/i;
const TEXTS = /\.(txt|md|markdown)$/i;
const LONGEST_TEXT = 64 * 1024; // bytes; a longer one is a book

export function setUpCompose({ onJob }) {
  const speak = setUpSpeak({ onJob });
  const listen = setUpListen({ onJob });
  const book = setUpBook({ onJob });
  setUpTabs();
  refreshVoices();
  features().then((found) => {
    if (!found.books) show(byId("tab-book"), false);
  });
  setUpDrops(async (files) => {
    const name = await placeOf(files);
    choose(name);
    if (name === "book") book.take(files[0]);
    else if (name === "speak") speak.take(files[0]);
    else listen.take(files);
  });
  return { refresh: refreshVoices };
}

// A short text is spoken where texts are written, and is a book elsewhere, as a long one always is.
async function placeOf(files) {
  if (files.length !== 1) return "listen";
  const [file] = files;
  if (isList(file)) return (await isBatch(file)) ? "speak" : "listen";
  if (TEXTS.test(file.name) && file.size <= LONGEST_TEXT && !byId("panel-speak").hidden) return "speak";
  return BOOKS.test(file.name) && !byId("tab-book").hidden ? "book" : "listen";
}

function setUpTabs() {
  for (const [index, name] of TABS.entries()) {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => choose(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      let next = index;
      do next = (next + step + TABS.length) % TABS.length;
      while (byId(`tab-${TABS[next]}`).hidden);
      choose(TABS[next]);
      byId(`tab-${TABS[next]}`).focus();
    });
  }
}

function choose(chosen) {
  for (const name of TABS) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === chosen));
    tab.tabIndex = name === chosen ? 0 : -1;
    show(byId(`panel-${name}`), name === chosen);
  }
}

function setUpDrops(take) {
  const curtain = byId("curtain");
  let depth = 0; // dragenter and dragleave come for every element that is crossed
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const lift = () => {
    depth = 0;
    show(curtain, false);
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    depth += 1;
    show(curtain, true);
  });
  addEventListener("dragleave", (event) => {
    if (!holdsFiles(event)) return;
    depth -= 1;
    if (depth <= 0) lift();
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    lift();
    const files = await filesOf(event.dataTransfer);
    if (files.length) take(files);
  });
}
