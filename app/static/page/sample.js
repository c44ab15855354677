// Listen first: the beginning of the text with the chosen voice, at once and kept nowhere.

import { ended, remove, submit } from "./api.js";
import { calm, complainIn } from "./problems.js";
import { setIcon } from "./dom.js";
import { say } from "./i18n.js";
import { playAlone } from "./playing.js";

const MOST_CHARACTERS = 60;
const OTHERWISE = "今天下午阿姨要去医院。";
export const SAMPLE_MARK = "voxqueue_sample";

// Returns the first sentence or sentences, as long as a sample should be.
export function beginning(text) {
  const sentences = text.trim().match(/[^。！？!?.\n]+[。！？!?.]*\n*/g) ?? [];
  let found = "";
  for (const sentence of sentences) {
    if (found && found.length + sentence.length > MOST_CHARACTERS) break;
    found += sentence;
  }
  return found.trim().slice(0, 4 * MOST_CHARACTERS) || OTHERWISE;
}

export function setUpSample(control, fields) {
  const words = control.querySelector("span");
  const audio = new Audio();
  let asking = null;
  let last = { asked: "", url: "" };

  const rest = () => {
    setIcon(control, "play");
    say(words, "speak.sample");
  };
  audio.addEventListener("ended", rest);
  audio.addEventListener("pause", rest);
  audio.addEventListener("playing", () => {
    setIcon(control, "pause");
    say(words, "speak.sample.stop");
  });

  control.addEventListener("click", async () => {
    if (asking) return asking.abort();
    if (!audio.paused) return audio.pause();
    const { subtitles, ...wanted } = fields();
    const request = { ...wanted, text: beginning(wanted.text), format: "mp3", priority: "interactive", metadata: { [SAMPLE_MARK]: "1" } };
    const asked = JSON.stringify(request);
    try {
      if (last.asked !== asked) {
        asking = new AbortController();
        setIcon(control, "stop");
        say(words, "speak.sample.wait");
        URL.revokeObjectURL(last.url);
        last = { asked, url: await spoken(request, asking.signal) };
        audio.src = last.url;
      }
      calm("speak");
      playAlone(audio);
    } catch (error) {
      last = { asked: "", url: "" };
      rest();
      if (error.name !== "AbortError") complainIn("speak", error);
    } finally {
      asking = null;
    }
  });
}

async function spoken(request, signal) {
  const submitted = await submit("/v1/tts", request);
  try {
    const job = await ended(submitted.id, { signal });
    if (job.status !== "succeeded") throw Object.assign(new Error(job.error?.detail), { code: job.error?.type ?? "canceled" });
    const answer = await fetch(job.output.files[0].url);
    return URL.createObjectURL(await answer.blob());
  } finally {
    remove(`/v1/jobs/${submitted.id}`).catch(() => {}); // it expires by itself at the latest
  }
}
