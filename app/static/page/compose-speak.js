// A text to speech: the form, and a sample of it before the whole.

import { submit, upload } from "./api.js";
import { Chosen } from "./chosen.js";
import { calm, complainIn } from "./problems.js";
import { byId, show } from "./dom.js";
import { length, number } from "./format.js";
import { say } from "./i18n.js";
import { isList } from "./lists.js";
import { setUpSample } from "./sample.js";
import { remember, remembered } from "./storage.js";
import { setUpVoiceForm, voiceFields } from "./voices.js";

const CHARACTERS_PER_SECOND = 4.5;
const EXAMPLE = "从前，村子里住着一只青蛙。有一天，兔子在小河里遇见了乌龟。\n乌龟对兔子说，我们做朋友吧。今天下午五点十五分，小红打开大门，看见了一件毛衣。";

export function setUpSpeak({ onJob }) {
  const form = byId("form-speak");
  const text = byId("speak-text");
  setUpVoiceForm("speak");
  text.value = remembered("draft", "");

  const count = () => {
    const characters = [...text.value.trim()].length;
    const seconds = characters / CHARACTERS_PER_SECOND / Number(byId("speak-speed").value);
    if (characters) say(byId("speak-count"), "speak.count", { n: number(characters), length: length(seconds) });
    else say(byId("speak-count"), "speak.markup");
  };
  text.addEventListener("input", () => {
    remember("draft", text.value.slice(0, 20000) || null);
    calm("speak");
    count();
  });
  byId("speak-speed").addEventListener("input", count);
  document.addEventListener("language", count);
  count();

  byId("speak-example").addEventListener("click", () => {
    text.value = EXAMPLE;
    count();
    text.focus();
  });

  // A list is a batch: each line has a text, a voice and a format of its own, so the form has none to choose.
  const showList = ([file]) => {
    calm("speak");
    show(byId("speak-write"), !file);
    show(byId("speak-sample"), !file);
    if (file) form.querySelector("[type=submit]").focus({ preventScroll: true }); // the picker is not seen any more
  };
  const list = new Chosen(byId("speak-chosen"), showList, "chosen.batch");
  const take = async (file) => {
    if (isList(file)) return list.set([file]);
    list.set([]);
    text.value = decoded(await file.arrayBuffer());
    text.dispatchEvent(new Event("input"));
    text.focus();
  };
  const picker = byId("speak-file");
  picker.addEventListener("change", () => {
    if (picker.files.length) take(picker.files[0]);
    picker.value = "";
  });

  const fields = () => ({ text: text.value, ...voiceFields("speak") });
  setUpSample(byId("speak-sample"), fields);

  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file] = list.files;
    if (!file && !text.value.trim()) {
      complainIn("speak", { code: "text_missing" });
      text.focus();
      return;
    }
    const sending = form.querySelector("[type=submit]");
    sending.disabled = true;
    try {
      onJob(await (file ? sendBatch(file) : submit("/v1/tts", fields())));
      if (file) list.set([]);
      else {
        text.value = "";
        remember("draft", null);
        count();
      }
      calm("speak");
    } catch (error) {
      complainIn("speak", error);
    } finally {
      sending.disabled = false;
      show(byId("speak-upload"), false);
    }
  });
  return { take };
}

// As UTF-8 if it is, else as GB 18030, which older programs write in China.
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("gb18030").decode(bytes);
  }
}

function sendBatch(file) {
  const bar = byId("speak-upload");
  bar.value = 0;
  show(bar, true);
  const data = new FormData();
  data.append("file", file, file.name);
  return upload("/v1/batches", data, (part) => (bar.value = part));
}
