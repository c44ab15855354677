// Where the server wants a key: ask for it once and exchange it for a cookie. The key itself is not kept.

import { byId, show } from "./dom.js";
import { post, remove } from "./api.js";
import { plain } from "./errors.js";
import { say } from "./i18n.js";
import { remember, remembered } from "./storage.js";

export function setUpKey({ onEntered }) {
  const dialog = byId("key-dialog");
  const field = byId("key");
  const problem = byId("key-problem");
  const leave = byId("sign-out");
  show(leave, remembered("signed-in", false));

  document.addEventListener("key-needed", () => {
    if (!dialog.open) dialog.showModal();
  });

  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("/v1/session", { key: field.value.trim() });
    } catch (error) {
      const { key, args } = plain(error.code, error.message);
      say(problem, key, args);
      show(problem, true);
      field.focus();
      return;
    }
    field.value = "";
    show(problem, false);
    show(leave, true);
    remember("signed-in", true);
    dialog.close();
    onEntered();
  });

  leave.addEventListener("click", async () => {
    await remove("/v1/session");
    remember("signed-in", null);
    location.reload();
  });
}
