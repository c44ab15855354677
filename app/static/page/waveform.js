// The shape of a recording behind the bar of its player. Decoded here, so only for files that are small enough.

import { h } from "./dom.js";

const MOST_BYTES = 20 * 1000 * 1000;
const RATE = 8000; // Hz; enough for a picture, at a sixth of the memory
const BAR = 3; // pixels from one bar to the next
const GAP = 1;

export class Waveform {
  constructor(src, bytes) {
    this.element = h("canvas", { class: "waveform", "aria-hidden": "true" });
    this.samples = null;
    this.played = 0;
    this.asked = new AbortController();
    this.redraw = () => this.draw();
    this.sized = new ResizeObserver(this.redraw);
    this.sized.observe(this.element);
    document.addEventListener("theme", this.redraw);
    if (bytes < MOST_BYTES) this.load(src);
  }

  async load(src) {
    try {
      const answer = await fetch(src, { signal: this.asked.signal });
      if (!answer.ok) return;
      const decoder = new OfflineAudioContext(1, 1, RATE);
      const decoded = await decoder.decodeAudioData(await answer.arrayBuffer());
      this.samples = decoded.getChannelData(0);
      this.element.dataset.drawn = "true";
      this.draw();
    } catch {
      // A form that this browser cannot decode: the bar works without a picture.
    }
  }

  showPlayed(part) {
    const before = Math.round(this.played * this.element.clientWidth);
    this.played = part;
    if (Math.round(part * this.element.clientWidth) !== before) this.draw();
  }

  draw() {
    const { element, samples } = this;
    const width = element.clientWidth;
    const height = element.clientHeight;
    if (!samples || !width || !height) return;
    const scale = devicePixelRatio || 1;
    if (element.width !== Math.round(width * scale)) element.width = Math.round(width * scale);
    if (element.height !== Math.round(height * scale)) element.height = Math.round(height * scale);
    const style = getComputedStyle(element);
    const pen = element.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    // The style sheet gives both colours: `color` is to come, `outline-color` was played.
    const bars = this.bars(Math.floor(width / BAR));
    for (const [index, loudness] of bars.entries()) {
      const tall = Math.max(2, loudness * height);
      pen.fillStyle = (index + 0.5) / bars.length <= this.played ? style.outlineColor : style.color;
      pen.fillRect(index * BAR, (height - tall) / 2, BAR - GAP, tall);
    }
  }

  // The loudest sample under each bar, the loudest of all being 1. Kept until the width changes.
  bars(count) {
    if (this.kept?.length === count) return this.kept;
    const step = this.samples.length / count;
    const found = Array.from({ length: count }, (_, bar) => {
      let most = 0;
      const end = Math.floor((bar + 1) * step);
      for (let index = Math.floor(bar * step); index < end; index += 1) most = Math.max(most, Math.abs(this.samples[index]));
      return most;
    });
    const peak = Math.max(...found, 1e-6);
    this.kept = found.map((loudness) => loudness / peak);
    return this.kept;
  }

  close() {
    this.asked.abort();
    this.sized.disconnect();
    document.removeEventListener("theme", this.redraw);
    this.samples = null;
  }
}
