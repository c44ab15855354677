// The forms: three tabs, and files dropped anywhere on the page go to the right one.

import { byId, show } from "./dom.js";
import { features } from "./features.js";
import { setUpBook } from "./compose-book.js";
import { setUpListen } from "./compose-listen.js";
import { setUpSpeak } from "./compose-speak.js";
import { refreshVoices } from "./voices.js";

const TABS = ["speak", "listen", "book"];
const BOOKS = /\.(epub|txt|md|markdown)$/i;

export function setUpCompose({ onJob }) {
  setUpSpeak({ onJob });
  const listen = setUpListen({ onJob });
  const book = setUpBook({ onJob });
  setUpTabs();
  refreshVoices();
  features().then((found) => {
    if (!found.books) show(byId("tab-book"), false);
  });
  setUpDrops((files) => {
    const name = files.length === 1 && BOOKS.test(files[0].name) && !byId("tab-book").hidden ? "book" : "listen";
    choose(name);
    if (name === "book") book.take(files[0]);
    else listen.take(files);
  });
  return { refresh: refreshVoices };
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
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    lift();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}
