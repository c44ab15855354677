// Light, dark, or as the system has it.

import { sayIn } from "./i18n.js";
import { setIcon } from "./dom.js";
import { rememberText } from "./storage.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";

export function setUpTheme(toggle) {
  const showState = () => {
    setIcon(toggle, isDark() ? "sun" : "moon");
    const key = isDark() ? "theme.light" : "theme.dark";
    sayIn(toggle, "aria-label", key);
    sayIn(toggle, "title", key);
    document.dispatchEvent(new CustomEvent("theme"));
  };
  toggle.addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    const asSystem = (wanted === "dark") === system.matches;
    if (asSystem) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = wanted;
    rememberText("theme", asSystem ? null : wanted);
    showState();
  });
  system.addEventListener("change", showState);
  showState();
}
