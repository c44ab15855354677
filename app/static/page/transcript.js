// A transcript beside its sound: click a word to hear it, correct a line, take it along as text or subtitles.

import { text } from "./api.js";
import { button, h, iconButton, show } from "./dom.js";
import { features } from "./features.js";
import { clock } from "./format.js";
import { sayIn } from "./i18n.js";
import { Player, withoutSound } from "./player.js";
import { SpokenText } from "./spoken.js";
import { remember, remembered } from "./storage.js";
import { WRITERS } from "./subtitles.js";

// Fills `place` and returns what stops it.
export async function showTranscript(place, job) {
  const timed = job.output.files.find((file) => file.name.endsWith(".json"));
  if (!timed) {
    place.replaceChildren(h("blockquote", { class: "asked", lang: "zh" }, job.output.text ?? ""));
    return () => {};
  }
  const { segments } = JSON.parse(await text(timed.url));
  const sound = await soundOf(job);
  const shown = new Transcript(job, segments, sound);
  place.replaceChildren(...shown.elements);
  return () => shown.player?.close();
}

async function soundOf(job) {
  const file = job.input.files?.[0];
  if (!file || !(await features()).inputs) return null;
  return { src: `/v1/jobs/${job.id}/inputs/${encodeURIComponent(file.name)}`, bytes: file.bytes };
}

const timesOf = (words) => (words ?? []).map(({ word, start, end }) => ({ text: word, start, end }));

class Transcript {
  constructor(job, segments, sound) {
    this.job = job;
    this.memory = `corrections.${job.id}`;
    this.corrections = remembered(this.memory, {});
    this.cues = segments.map((segment, index) => this.cueOf(segment, index));
    this.original = segments.map((segment) => segment.text.trim());
    if (sound) {
      this.player = new Player({
        ...sound,
        seconds: job.output.duration_seconds,
        onTime: (now) => this.spoken?.showTime(now, { isPlaying: !this.player.audio.paused }),
      });
    }
    this.spoken = new SpokenText(this.cues, {
      label: "transcript.label",
      lang: job.output.language ?? "",
      draw: (cue, line, index) => this.row(cue, line, index),
      onSeek: (start) => this.player?.playFrom(start),
      onToggle: () => this.player?.toggle(),
    });
    this.spoken.element.classList.add("transcript");
  }

  cueOf(segment, index) {
    const speaker = segment.channel === undefined ? "" : `[${segment.channel + 1}] `;
    const cue = { start: segment.start, end: segment.end, text: segment.text.trim(), words: timesOf(segment.words), speaker };
    // The times of words belong to the words that were heard, not to those that somebody wrote over them.
    return index in this.corrections ? { ...cue, text: this.corrections[index], words: [] } : cue;
  }

  get elements() {
    if (!this.cues.length) return [withoutSound("transcript.silence"), ...(this.player ? [this.player.element] : [])];
    return [
      this.player?.element ?? withoutSound("transcript.no-sound"),
      this.spoken.element,
      h("p", { class: "hint", t: "transcript.keys" }),
      h("div", { class: "export", role: "group", label: "transcript.export" }, ...Object.keys(WRITERS).map((kind) => this.exporter(kind))),
    ];
  }

  row(cue, line, index) {
    if (index in this.corrections) line.classList.add("corrected");
    const time = h("button", { type: "button", class: "time figure", on: { click: () => this.player?.playFrom(cue.start, cue.end) } }, clock(cue.start));
    sayIn(time, "aria-label", "transcript.hear", { time: clock(cue.start) });
    time.disabled = !this.player;
    const pen = iconButton(["transcript.correct", { time: clock(cue.start) }], "pen", () => this.edit(row, cue, index));
    const row = h("div", { class: "segment" }, time, cue.speaker ? h("span", { class: "hint" }, cue.speaker) : null, line, pen);
    return row;
  }

  edit(row, cue, index) {
    const field = h("textarea", { class: "correct", value: cue.text, rows: 2, label: ["transcript.correct", { time: clock(cue.start) }] });
    const finish = (text) => {
      if (text !== null) this.correct(index, text.trim());
      this.spoken.redraw();
      this.spoken.element.querySelectorAll(".segment")[index]?.querySelector(".icon-button").focus();
    };
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // Enter ends a word of Chinese input first
      if (event.key === "Escape") finish(null);
      else if (event.key === "Enter" && !event.shiftKey) finish(field.value);
      else return;
      event.preventDefault();
    });
    const line = row.querySelector(".line");
    line.replaceWith(field);
    show(row.querySelector(".icon-button"), false);
    row.append(
      h(
        "div",
        { class: "correct-buttons" },
        button("transcript.save", "check", () => finish(field.value), { class: "button primary small" }),
        button("transcript.leave", "close", () => finish(null), { class: "button small" }),
      ),
    );
    field.focus();
  }

  correct(index, text) {
    if (text === this.cues[index].text) return;
    if (text === this.original[index]) delete this.corrections[index];
    else this.corrections[index] = text;
    this.cues[index].text = text;
    this.cues[index].words = [];
    remember(this.memory, Object.keys(this.corrections).length ? this.corrections : null);
  }

  exporter(kind) {
    const { write, type } = WRITERS[kind];
    return button(`export.${kind}`, "download", () => {
      const cues = this.cues.map((cue) => ({ ...cue, text: cue.speaker + cue.text }));
      const url = URL.createObjectURL(new Blob([write(cues)], { type: `${type};charset=utf-8` }));
      h("a", { href: url, download: `${this.stem()}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    }, { class: "button small" });
  }

  stem() {
    return (this.job.input.files?.[0]?.name ?? "transcript").replace(/\.[^.]*$/, "");
  }
}
