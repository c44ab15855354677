// A player: play, skip, a bar over the waveform, time and tempo. One audio element, which tells the time to others.

import { h, iconButton, setIcon } from "./dom.js";
import { clock, spokenTime } from "./format.js";
import { say, sayIn } from "./i18n.js";
import { playAlone } from "./playing.js";
import { remember, remembered } from "./storage.js";
import { Waveform } from "./waveform.js";

const RATES = [0.75, 1, 1.25, 1.5, 2];
const SKIP_SECONDS = 5;

export class Player {
  // onTime(seconds) comes with every frame while it plays, and after every jump.
  constructor({ src, bytes, seconds, onTime }) {
    this.seconds = seconds || 0;
    this.onTime = onTime;
    this.audio = h("audio", { preload: "metadata", src });
    this.playButton = iconButton("player.play", "play", () => this.toggle(), { class: "icon-button play" });
    this.bar = h("input", { type: "range", class: "seek", min: 0, max: this.seconds || 1, step: 0.01, value: 0, label: "player.position" });
    this.time = h("span", { class: "figure player-time" });
    this.trouble = h("p", { class: "hint player-trouble", hidden: true, t: "player.trouble" });
    this.waveform = new Waveform(src, bytes);
    this.element = h(
      "div",
      { class: "player", role: "group", label: "player.label" },
      this.playButton,
      iconButton("player.back", "back", () => this.seek(this.audio.currentTime - SKIP_SECONDS)),
      iconButton("player.forward", "forward", () => this.seek(this.audio.currentTime + SKIP_SECONDS)),
      h("div", { class: "track" }, this.waveform.element, this.bar),
      this.time,
      this.rates(),
      this.audio,
      this.trouble,
    );
    this.listen();
    this.tell();
  }

  rates() {
    const select = h("select", { class: "rate", label: "player.rate" }, ...RATES.map((rate) => h("option", { value: String(rate) }, `${rate}×`)));
    const apply = () => {
      this.audio.defaultPlaybackRate = Number(select.value);
      this.audio.playbackRate = Number(select.value);
      remember("rate", Number(select.value));
    };
    select.value = String(remembered("rate", 1));
    if (select.value) apply();
    select.addEventListener("change", apply);
    return select;
  }

  listen() {
    const { audio, bar } = this;
    audio.addEventListener("loadedmetadata", () => {
      if (Number.isFinite(audio.duration)) this.seconds = audio.duration;
      bar.max = this.seconds || 1;
      this.tell();
    });
    audio.addEventListener("play", () => this.showPlaying(true));
    audio.addEventListener("pause", () => this.showPlaying(false));
    audio.addEventListener("timeupdate", () => this.tell());
    audio.addEventListener("seeked", () => this.tell());
    audio.addEventListener("error", () => (this.trouble.hidden = false));
    audio.addEventListener("unplayable", () => (this.trouble.hidden = false));
    bar.addEventListener("input", () => this.seek(Number(bar.value)));
  }

  showPlaying(isPlaying) {
    setIcon(this.playButton, isPlaying ? "pause" : "play");
    for (const attribute of ["aria-label", "title"]) sayIn(this.playButton, attribute, isPlaying ? "player.pause" : "player.play");
    if (isPlaying) this.follow();
    else cancelAnimationFrame(this.frame);
  }

  follow() {
    this.tell();
    if (!this.audio.paused) this.frame = requestAnimationFrame(() => this.follow());
  }

  tell() {
    const now = this.audio.currentTime;
    this.bar.value = now;
    const spoken = spokenTime(now);
    if (this.bar.getAttribute("aria-valuetext") !== spoken) this.bar.setAttribute("aria-valuetext", spoken);
    const shown = `${clock(now)} / ${clock(this.seconds)}`;
    if (this.time.textContent !== shown) this.time.textContent = shown;
    this.waveform.showPlayed(this.seconds ? now / this.seconds : 0);
    if (this.pauseAt && now >= this.pauseAt) {
      this.audio.pause();
      this.pauseAt = null;
    }
    this.onTime?.(now);
  }

  seek(seconds) {
    this.pauseAt = null;
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.seconds || seconds);
    this.tell();
  }

  play() {
    return playAlone(this.audio);
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  // Plays from `start`, and no further than `end` if one is given.
  playFrom(start, end = null) {
    this.seek(start);
    this.pauseAt = end;
    return this.play();
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.waveform.close();
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
  }
}

export function withoutSound(key) {
  const line = h("p", { class: "hint note" });
  say(line, key);
  return line;
}
