// Hear speech while it is still being made: its finished sentences in order.

import { button, h, setIcon } from "./dom.js";
import { features } from "./features.js";
import { say } from "./i18n.js";
import { playAlone } from "./playing.js";

const GROWS = new Set(["tts", "chapter"]);

// Returns the control and what stops it; nothing for a job whose sound cannot be had before its end.
export async function liveControl(job) {
  const { format, sample_rate: rate } = job.input;
  if (job.status !== "running" || !GROWS.has(job.kind)) return null;
  if (!(await features()).streams) return null;
  // WAV at the voice's own rate is sent as it is; everything else is encoded on the way, in what every browser plays.
  const src = `/v1/jobs/${job.id}/stream?format=${format === "wav" && !rate ? "wav" : "mp3"}`;
  const audio = h("audio", { preload: "none", src });
  const control = button("live.play", "play", () => (audio.paused ? playAlone(audio) : audio.pause()), { class: "button small live" });
  const showState = () => {
    setIcon(control, audio.paused ? "play" : "pause");
    say(control.querySelector("span"), audio.paused ? "live.play" : "live.pause");
  };
  for (const event of ["playing", "pause", "ended", "error"]) audio.addEventListener(event, showState);
  const stop = () => {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  };
  return { elements: [control, audio], stop };
}
