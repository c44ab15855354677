// Why a form was refused, told in the form itself: in plain words, and below them what the server said of which file.

import { byId, h, show } from "./dom.js";
import { plain } from "./errors.js";
import { t } from "./i18n.js";

export function complainIn(panel, error) {
  const { key, args } = plain(error.code, error.message);
  const said = error.message && !t(key, args).includes(error.message) ? h("span", { class: "said" }, error.message) : null;
  byId(`${panel}-problem`).replaceChildren(h("span", { t: [key, args] }), ...(said ? [said] : []));
  show(byId(`${panel}-problem`), true);
}

export function calm(panel) {
  show(byId(`${panel}-problem`), false);
}
