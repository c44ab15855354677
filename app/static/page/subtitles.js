// Corrected transcripts as plain text, SRT and WebVTT.

const two = (value) => String(value).padStart(2, "0");

export function stamp(seconds, point) {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const whole = Math.floor(ms / 1000);
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}${point}${String(ms % 1000).padStart(3, "0")}`;
}

const clean = (text) => text.replaceAll(/\s*\n\s*/g, "\n").trim();
const shown = (cues) => cues.map((cue) => ({ ...cue, text: clean(cue.text), end: Math.max(cue.end, cue.start + 0.001) })).filter((cue) => cue.text);
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export function toTxt(cues) {
  return shown(cues).map((cue) => `${cue.text}\n`).join("");
}

export function toSrt(cues) {
  return shown(cues)
    .map((cue, index) => `${index + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${cue.text}\n\n`)
    .join("");
}

export function toVtt(cues) {
  const blocks = shown(cues).map((cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${escaped(cue.text)}\n\n`);
  return `WEBVTT\n\n${blocks.join("")}`;
}

export const WRITERS = {
  txt: { write: toTxt, type: "text/plain" },
  srt: { write: toSrt, type: "application/x-subrip" },
  vtt: { write: toVtt, type: "text/vtt" },
};
