// A text whose words know their time: shows which one is being spoken, and leads to the sound by click or arrow keys.

import { h } from "./dom.js";

// pieces of `text` as [text, word or null]; nothing is lost between the words.
export function pieces(text, words) {
  const found = [];
  let at = 0;
  for (const word of words ?? []) {
    const wanted = word.text.trim();
    const begin = wanted ? text.indexOf(wanted, at) : -1;
    if (begin < 0) continue;
    if (begin > at) found.push([text.slice(at, begin), null]);
    found.push([wanted, word]);
    at = begin + wanted.length;
  }
  if (at < text.length) found.push([text.slice(at), null]);
  return found;
}

// Returns the index of the last entry that has begun at `seconds`; -1 before the first.
export function current(entries, seconds) {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].start <= seconds + 0.005) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class SpokenText {
  // cues: [{start, end, text, words?}]; draw(cue, line) gives the element of a cue around its line of words.
  constructor(cues, { label, lang = "zh", draw = (_, line) => line, onSeek, onToggle }) {
    this.cues = cues;
    this.onSeek = onSeek;
    this.onToggle = onToggle;
    this.marked = { line: null, word: null };
    this.element = h("div", { class: "spoken", tabIndex: 0, role: "group", label, lang });
    this.draw = draw;
    this.lines = [];
    this.words = [];
    this.element.addEventListener("click", (event) => this.clicked(event));
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.redraw();
  }

  redraw() {
    this.words = [];
    this.lines = this.cues.map((cue, index) => {
      const line = h("span", { class: "line", data: { cue: String(index) } }, ...pieces(cue.text, cue.words).map((piece) => this.piece(piece, cue)));
      return line;
    });
    this.element.replaceChildren(...this.lines.map((line, index) => this.draw(this.cues[index], line, index)));
    this.marked = { line: null, word: null };
  }

  piece([text, word]) {
    if (!word) return document.createTextNode(text);
    const element = h("span", { class: "word" }, text);
    this.words.push({ start: word.start, end: word.end, element });
    element.dataset.start = word.start;
    return element;
  }

  showTime(seconds, { isPlaying }) {
    this.now = seconds;
    const at = current(this.cues, seconds);
    const line = at >= 0 && seconds < this.cues[at].end + 0.3 ? this.lines[at] : null;
    this.mark("line", line);
    const word = this.words[current(this.words, seconds)];
    this.mark("word", word && seconds < word.end + 0.15 ? word.element : null);
    if (isPlaying && line && line !== this.followed) {
      this.followed = line;
      this.bringIntoView(line);
    }
  }

  mark(what, element) {
    if (this.marked[what] === element) return;
    this.marked[what]?.classList.remove("now");
    element?.classList.add("now");
    this.marked[what] = element;
  }

  // Scrolls the text, never the page: the reader may be looking elsewhere.
  bringIntoView(line) {
    const box = this.element;
    const shown = line.getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    if (shown.top < frame.top || shown.bottom > frame.bottom) box.scrollTop += shown.top - frame.top - frame.height / 3;
  }

  clicked(event) {
    const word = event.target.closest(".word");
    const line = event.target.closest(".line");
    if (word) this.onSeek(Number(word.dataset.start));
    else if (line) this.onSeek(this.cues[Number(line.dataset.cue)].start);
  }

  pressed(event) {
    if (event.target !== this.element) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    const entries = event.key === "ArrowDown" || event.key === "ArrowUp" || !this.words.length ? this.cues : this.words;
    if (step) {
      const next = Math.min(Math.max(0, current(entries, this.now ?? 0) + step), entries.length - 1);
      if (entries[next]) this.onSeek(entries[next].start);
    } else if (event.key === " ") this.onToggle();
    else return;
    event.preventDefault();
  }
}
