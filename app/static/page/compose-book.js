// A book to an audiobook: first the plan, then the chapters that were ticked.

import { ended, remove, upload } from "./api.js";
import { Chosen } from "./chosen.js";
import { calm, complainIn } from "./problems.js";
import { byId, show } from "./dom.js";
import { drawPlan, selection } from "./plan.js";
import { SAMPLE_MARK } from "./sample.js";
import { setUpVoiceForm, voiceFields } from "./voices.js";

export function setUpBook({ onJob }) {
  const form = byId("form-book");
  const picker = byId("book-file");
  const place = byId("book-plan");
  const make = form.querySelector("[type=submit]");
  const look = byId("book-show-plan");
  let plan = null;

  // There is something to make as soon as a plan stands and a chapter of it is ticked.
  const settle = () => {
    look.disabled = false;
    make.disabled = !plan || !place.querySelector("input:checked");
  };
  const forget = () => {
    plan = null;
    show(place, false);
    settle();
  };
  const chosen = new Chosen(byId("book-chosen"), () => {
    calm("book");
    forget();
  });
  setUpVoiceForm("book");
  picker.addEventListener("change", () => {
    chosen.set([...picker.files].slice(0, 1));
    picker.value = "";
    if (chosen.files.length) look.click();
  });

  look.addEventListener("click", () =>
    busy(async () => {
      if (!needFile(chosen, picker)) return;
      forget();
      plan = await planOf(form, chosen.files[0], progressBar());
      drawPlan(place, { ...plan, title: plan.title || chosen.files[0].name }, settle);
      show(place, true);
    }, settle),
  );

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(async () => {
      if (!needFile(chosen, picker) || !plan) return;
      const data = body(form, chosen.files[0]);
      const ticked = selection(place);
      if (ticked) data.append("chapters_selected", ticked);
      onJob(await upload("/v1/audiobooks", data, progressBar()));
      chosen.set([]);
    }, settle);
  });
  return {
    take(file) {
      chosen.set([file]);
      look.click();
    },
  };
}

function needFile(chosen, picker) {
  if (chosen.files.length) return true;
  complainIn("book", { code: "book_missing" });
  picker.focus();
  return false;
}

async function busy(work, settle) {
  const controls = byId("form-book").querySelectorAll(".send button");
  for (const control of controls) control.disabled = true;
  try {
    await work();
  } catch (error) {
    complainIn("book", error);
  } finally {
    show(byId("book-upload"), false);
    settle();
  }
}

function progressBar() {
  const bar = byId("book-upload");
  bar.value = 0;
  show(bar, true);
  return (part) => (bar.value = part);
}

// The plan is a job like any other, but nobody wants to see it in the list.
async function planOf(form, file, onProgress) {
  const data = body(form, file);
  data.append("plan", "true");
  data.append("priority", "interactive");
  data.append("metadata", JSON.stringify({ [SAMPLE_MARK]: "1" }));
  const job = await ended((await upload("/v1/audiobooks", data, onProgress)).id);
  remove(`/v1/jobs/${job.id}`).catch(() => {});
  if (job.status !== "succeeded") throw Object.assign(new Error(job.error?.detail), { code: job.error?.type ?? "canceled" });
  return job.output.plan;
}

function body(form, file) {
  const data = new FormData();
  for (const [name, value] of Object.entries(voiceFields("book"))) data.append(name, String(value));
  data.append("loudness", form.elements.loudness.value);
  data.append("speak_titles", String(form.elements.speak_titles.checked));
  if (form.elements.dialogue_voice.value) data.append("dialogue_voice", form.elements.dialogue_voice.value);
  data.append("file", file, file.name);
  return data;
}
