// Puts the page together.

import { byId } from "./dom.js";
import { language, setLanguage, translate } from "./i18n.js";
import { setUpTheme } from "./theme.js";
import { setUpKey } from "./key.js";
import { setUpCompose } from "./compose.js";
import { setUpJobs } from "./jobs.js";
import { setUpWorkers } from "./workers.js";

translate();
setUpTheme(byId("theme-toggle"));
byId("language-toggle").addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));

const jobs = setUpJobs();
const workers = setUpWorkers();
const compose = setUpCompose({ onJob: jobs.add });

setUpKey({
  onEntered() {
    jobs.refresh();
    workers.refresh();
    compose.refresh();
  },
});
