// The voices of the server in the selects of both forms.

import { get } from "./api.js";
import { byId, h, show } from "./dom.js";
import { knows, t } from "./i18n.js";
import { remember, remembered } from "./storage.js";

const FORMS = ["speak", "book"];
const RETRY_MS = 5000;
let voices = [];

export async function refreshVoices() {
  try {
    voices = (await get("/v1/voices")).data;
  } catch {
    voices = [];
  }
  if (!voices.length) setTimeout(refreshVoices, RETRY_MS); // the first worker is still loading
  fill();
}

function fill() {
  voices.sort((a, b) => Number(b.default ?? false) - Number(a.default ?? false));
  for (const form of FORMS) {
    const select = byId(`${form}-voice`);
    const wanted = select.value || remembered("voice");
    select.replaceChildren(...voiceOptions());
    if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
    fillEmotions(form);
  }
  const dialogue = byId("book-dialogue");
  const kept = dialogue.value;
  dialogue.replaceChildren(h("option", { value: "", t: "book.dialogue.same" }), ...voiceOptions());
  dialogue.value = kept;
  show(byId("speak-domain"), voices.some((voice) => voice.model === "demo"));
}

function voiceOptions() {
  if (!voices.length) return [h("option", { value: "", t: "voice.none" })];
  return voices.flatMap((voice) => {
    const speakers = voice.speakers?.length ? voice.speakers : [null];
    return speakers.map((speaker) =>
      h("option", { value: speaker ? `${voice.name}/${speaker}` : voice.name }, speaker ? `${voice.name} · ${speaker}` : voice.name),
    );
  });
}

function fillEmotions(form) {
  const name = byId(`${form}-voice`).value.split("/")[0];
  const select = byId(`${form}-emotion`);
  const kept = select.value;
  const emotions = voices.find((voice) => voice.name === name)?.emotions ?? [];
  const shown = emotions.length ? emotions : ["neutral"];
  select.replaceChildren(...shown.map((emotion) => h("option", { value: emotion, ...named(emotion) })));
  select.value = shown.includes(kept) ? kept : shown.includes("neutral") ? "neutral" : shown[0];
}

const named = (emotion) => (knows(`emotion.${emotion}`) ? { t: `emotion.${emotion}` } : { textContent: emotion });

export function setUpVoiceForm(form) {
  const speed = byId(`${form}-speed`);
  const shown = byId(`${form}-speed-shown`);
  const format = byId(`${form}-format`);
  const showSpeed = () => {
    shown.value = `${Number(speed.value).toFixed(2).replace(/0$/, "")}×`;
    speed.setAttribute("aria-valuetext", t("voice.times", { n: Number(speed.value) }));
  };
  speed.addEventListener("input", showSpeed);
  document.addEventListener("language", showSpeed);
  showSpeed();
  format.value = remembered("format", "mp3");
  format.addEventListener("change", () => remember("format", format.value));
  byId(`${form}-voice`).addEventListener("change", (event) => {
    remember("voice", event.target.value);
    fillEmotions(form);
  });
}

// Returns the fields of a request; timed text is always asked for, the page reads along with it.
export function voiceFields(form) {
  const fields = { speed: Number(byId(`${form}-speed`).value), format: byId(`${form}-format`).value, subtitles: ["json", "srt"] };
  const voice = byId(`${form}-voice`).value;
  const emotion = byId(`${form}-emotion`).value;
  return { ...fields, ...(voice && { voice }), ...(emotion && emotion !== "neutral" && { emotion }) };
}
