// Short messages: seen for a while in a corner, read aloud by screen readers.

import { byId, h, iconButton } from "./dom.js";
import { plain } from "./errors.js";

const SHOWN_MS = 8000;

export function announce(key, args) {
  byId("announcer").replaceChildren(h("span", { t: [key, args] }));
}

export function notice(key, args, tone = "calm") {
  const shown = h("div", { class: `notice notice-${tone}`, role: tone === "bad" ? "alert" : "status" }, h("p", { t: [key, args] }));
  shown.append(iconButton("close", "close", () => shown.remove()));
  byId("notices").append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

export function complain(error) {
  const { key, args } = plain(error.code, error.message);
  notice(key, args, "bad");
}
