// Recordings to text: one is a transcript, a heap is one job with a child for each.

import { upload } from "./api.js";
import { Chosen } from "./chosen.js";
import { calm, complainIn } from "./problems.js";
import { byId, h, show } from "./dom.js";
import { fromFolder, pathOf } from "./dropped.js";
import { features } from "./features.js";
import { languageName } from "./format.js";
import { isList } from "./lists.js";
import { remember, remembered } from "./storage.js";

const LANGUAGES = ["zh", "en", "yue", "ja", "ko", "fr", "de", "es", "it", "pt", "ru", "ar", "hi", "vi", "th", "id"];

export function setUpListen({ onJob }) {
  const form = byId("form-listen");
  const chosen = new Chosen(byId("listen-chosen"), () => calm("listen"));
  const picker = byId("listen-files");
  picker.addEventListener("change", () => {
    chosen.add([...picker.files]);
    picker.value = "";
  });
  const folder = byId("listen-folder");
  show(folder.parentElement, "webkitdirectory" in folder);
  folder.addEventListener("change", () => {
    chosen.add(fromFolder(folder.files));
    folder.value = "";
  });
  setUpLanguages(byId("listen-language"));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!chosen.files.length) {
      complainIn("listen", { code: "file_missing" });
      picker.focus();
      return;
    }
    const sending = form.querySelector("[type=submit]");
    const bar = byId("listen-upload");
    sending.disabled = true;
    bar.value = 0;
    show(bar, true);
    try {
      for (const job of await send(form, chosen.files, (part) => (bar.value = part))) onJob(job);
      chosen.set([]);
      calm("listen");
    } catch (error) {
      complainIn("listen", error);
    } finally {
      sending.disabled = false;
      show(bar, false);
    }
  });
  return { take: (files) => chosen.add(files) };
}

function setUpLanguages(select) {
  const fill = () => {
    const kept = select.value || remembered("spoken", "");
    select.replaceChildren(
      h("option", { value: "", t: "listen.language.auto" }),
      ...LANGUAGES.map((code) => h("option", { value: code }, languageName(code))),
    );
    select.value = kept;
  };
  fill();
  document.addEventListener("language", fill);
  select.addEventListener("change", () => remember("spoken", select.value || null));
}

async function send(form, files, onProgress) {
  const isHeap = files.length > 1 || /\.zip$/i.test(files[0].name) || isList(files[0]);
  if (isHeap && (await features()).heaps) {
    return [await upload("/v1/transcripts", body(form, files, "files"), onProgress)];
  }
  const jobs = [];
  for (const [index, file] of files.entries()) {
    const onOne = (part) => onProgress((index + part) / files.length);
    jobs.push(await upload("/v1/stt", body(form, [file], "file"), onOne));
  }
  return jobs;
}

function body(form, files, field) {
  const data = new FormData();
  // The page itself reads the JSON, with the time of every word.
  const formats = ["json", ...[...form.querySelectorAll("[name=formats]:checked")].map((box) => box.value)];
  data.append("formats", formats.join(","));
  data.append("word_timestamps", "true");
  if (form.elements.language.value) data.append("language", form.elements.language.value);
  if (form.elements.hotwords.value.trim()) data.append("hotwords", form.elements.hotwords.value.trim());
  if (form.elements.split.checked) data.append("channels", "split");
  for (const file of files) data.append(isList(file) ? "manifest" : field, file, pathOf(file));
  return data;
}
