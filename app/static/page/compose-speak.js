// A text to speech: the form, and a sample of it before the whole.

import { submit } from "./api.js";
import { calm, complainIn } from "./problems.js";
import { byId } from "./dom.js";
import { length, number } from "./format.js";
import { say } from "./i18n.js";
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

  const fields = () => ({ text: text.value, ...voiceFields("speak") });
  setUpSample(byId("speak-sample"), fields);

  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!text.value.trim()) {
      complainIn("speak", { code: "text_missing" });
      text.focus();
      return;
    }
    const sending = form.querySelector("[type=submit]");
    sending.disabled = true;
    try {
      const job = await submit("/v1/tts", fields());
      text.value = "";
      remember("draft", null);
      calm("speak");
      count();
      onJob(job);
    } catch (error) {
      complainIn("speak", error);
    } finally {
      sending.disabled = false;
    }
  });
}
