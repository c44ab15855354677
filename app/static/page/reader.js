// Speech to read along: the player, and the text with the word that is being spoken.

import { text } from "./api.js";
import { h } from "./dom.js";
import { Player, withoutSound } from "./player.js";
import { SpokenText } from "./spoken.js";

const SOUND = /^audio\//;
const NOT_IN_BROWSERS = /\.pcm$/;

// Fills `place` and returns what stops it.
export async function showSpeech(place, job) {
  const { files, duration_seconds: seconds } = job.output;
  const sound = files.find((file) => SOUND.test(file.media_type) && !NOT_IN_BROWSERS.test(file.name));
  const timed = files.find((file) => file.name.endsWith(".json"));
  const cues = timed ? JSON.parse(await text(timed.url)).cues : null;
  if (!sound) {
    place.replaceChildren(withoutSound("player.none"), ...(job.input.text ? [h("blockquote", { class: "asked", lang: "zh" }, job.input.text)] : []));
    return () => {};
  }
  let spoken = null;
  const player = new Player({
    src: sound.url,
    bytes: sound.bytes,
    seconds,
    onTime: (now) => spoken?.showTime(now, { isPlaying: !player.audio.paused }),
  });
  if (cues) {
    spoken = new SpokenText(cues, {
      label: "reader.label",
      onSeek: (start) => player.playFrom(start),
      onToggle: () => player.toggle(),
    });
    const keys = h("p", { class: "hint" }, h("span", { t: "reader.click" }), " ", h("span", { class: "by-keys", t: "reader.keys" }));
    place.replaceChildren(player.element, spoken.element, keys);
  } else {
    place.replaceChildren(player.element, ...(job.input.text ? [h("blockquote", { class: "asked", lang: "zh" }, job.input.text)] : []));
  }
  return () => player.close();
}
