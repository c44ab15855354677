// Runs before the first paint: the chosen theme and language, so that nothing flashes.
(() => {
  let theme = null;
  let language = null;
  try {
    theme = localStorage.getItem("voxqueue.theme");
    language = localStorage.getItem("voxqueue.language");
  } catch {
    // Storage is switched off: the browser's own preferences hold.
  }
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const chinese = language ? language === "zh" : (navigator.language || "").toLowerCase().startsWith("zh");
  root.lang = chinese ? "zh-CN" : "en";
})();
