// An opened job: its result (speech to read along, a transcript to correct, chapters, files), and its figures.

import { ApiError, get } from "./api.js";
import { h, show } from "./dom.js";
import { plain } from "./errors.js";
import { bytes, length, number } from "./format.js";
import { say, t } from "./i18n.js";
import { liveControl } from "./live.js";
import { showSpeech } from "./reader.js";
import { isParent, isTerminal, learn, onNews, jobOf } from "./store.js";
import { showTranscript } from "./transcript.js";

const CHILDREN = 50;
const CHILDREN_MS = 2500;

onNews((job) => document.dispatchEvent(new CustomEvent("job-news", { detail: job })));

export class JobBody {
  constructor(place, job, Card) {
    this.Card = Card;
    this.cards = new Map();
    this.result = h("div", { class: "result" });
    this.children = h("ul", { class: "jobs children", label: `children.label.${job.kind}` });
    this.moreChildren = h("p", { class: "hint" });
    this.facts = h("div", { class: "facts" });
    this.figures = h("p", { class: "hint" });
    this.asked = new AbortController();
    show(this.children, false);
    show(this.moreChildren, false);
    place.replaceChildren(this.result, this.children, this.moreChildren, this.facts, this.figures);
    this.onNews = (event) => this.cards.get(event.detail.id)?.update(event.detail);
    document.addEventListener("job-news", this.onNews);
    this.update(job);
  }

  update(job) {
    this.job = job;
    this.figures.textContent = figures(job);
    for (const [id, card] of this.cards) card.update(jobOf(id) ?? card.job);
    if (isParent(job) && !job.input.plan && !this.following) this.followChildren();
    const drawn = `${job.status} ${job.attempt} ${job.finished_at}`;
    if (this.drawn === drawn) return; // what is open, focused or playing stays as it is
    this.drawn = drawn;
    this.stopSound?.();
    this.stopSound = null;
    this.facts.replaceChildren(...reused(job), ...warnings(job), ...files(job));
    this.drawResult(job);
  }

  // Drawn aside and then put in place, unless the job has moved on meanwhile.
  async drawResult(job) {
    const { drawn } = this;
    const place = h("div", { class: "result" });
    let stop = null;
    try {
      stop = await fillResult(place, job);
    } catch (error) {
      if (!(error instanceof ApiError)) console.error(error);
      const { key, args } = plain(error.code, error.message);
      place.replaceChildren(h("p", { class: "problem", t: [key, args] }));
    }
    if (this.asked.signal.aborted || this.drawn !== drawn) {
      stop?.();
      return;
    }
    this.result.replaceWith(place);
    this.result = place;
    this.stopSound = stop;
  }

  // Asks for the children until all have ended.
  async followChildren() {
    const { signal } = this.asked;
    this.following = true;
    while (!signal.aborted) {
      await this.askChildren(signal);
      if (isTerminal(this.job) && [...this.cards.keys()].every((id) => isTerminal(jobOf(id)))) break;
      await new Promise((resolve) => setTimeout(resolve, CHILDREN_MS));
    }
    this.following = false;
  }

  async askChildren(signal) {
    const moment = performance.now();
    let page;
    try {
      page = await get(`/v1/jobs?parent=${this.job.id}&limit=${CHILDREN}`, { signal });
    } catch {
      return; // the list itself tells that the server is away
    }
    for (const child of page.data) {
      learn(child, moment);
      if (this.cards.has(child.id)) continue;
      const card = new this.Card(child);
      this.cards.set(child.id, card);
      this.children.append(card.element);
    }
    show(this.children, page.data.length > 0);
    if (page.has_more) say(this.moreChildren, "children.more", { n: number(this.job.children.total - page.data.length) });
    show(this.moreChildren, page.has_more);
  }

  close() {
    this.asked.abort();
    this.stopSound?.();
    document.removeEventListener("job-news", this.onNews);
    for (const card of this.cards.values()) card.close();
  }
}

// Fills `place` with what there is of a job, and returns what stops its sound.
async function fillResult(place, job) {
  if (job.status === "succeeded") {
    if (["tts", "chapter"].includes(job.kind)) return showSpeech(place, job);
    if (job.kind === "stt") return showTranscript(place, job);
    return null;
  }
  const live = await liveControl(job);
  place.replaceChildren(...(live?.elements ?? []), ...(job.status === "failed" ? failure(job) : asked(job)));
  return live?.stop;
}

function failure(job) {
  return [
    h("details", { class: "why" }, h("summary", { t: "job.details" }), h("p", {}, h("strong", {}, job.error.title)), h("p", {}, job.error.detail)),
    ...asked(job),
  ];
}

function asked(job) {
  return job.input.text ? [h("blockquote", { class: "asked", lang: "zh" }, job.input.text)] : [];
}

// Nothing was done anew: what this job would have made was there.
function reused(job) {
  return job.output?.reused ? [h("p", { class: "hint", t: "job.reused.why" })] : [];
}

function warnings(job) {
  const found = job.output?.warnings ?? [];
  if (!found.length) return [];
  const lines = found.map((warning) => h("li", {}, warning.detail));
  return [h("details", { class: "warnings" }, h("summary", { t: ["job.warnings", { n: found.length }] }), h("ul", {}, ...lines))];
}

function files(job) {
  const found = job.output?.files ?? [];
  if (!found.length) return [];
  const links = found.map((file) =>
    h("li", {}, h("a", { href: file.url, download: file.name }, file.name), h("span", { class: "hint figure" }, ` ${bytes(file.bytes)}`)),
  );
  return [h("details", { class: "files", open: found.length <= 4 && isParent(job) }, h("summary", { t: ["job.files", { n: found.length }] }), h("ul", {}, ...links))];
}

function figures(job) {
  const { queued_seconds: queued, running_seconds: running, realtime_factor: factor } = job.metrics;
  const parts = [t("fact.queued", { length: length(queued) })];
  if (job.started_at) parts.push(t("fact.running", { length: length(running) }));
  if (factor && !job.output?.reused) parts.push(t("fact.factor", { n: number(1 / factor, 1) }));
  if (job.attempt > 1 && !isParent(job)) parts.push(t("fact.attempt", { n: job.attempt }));
  const { emotion, speed, voice, language, model } = job.input;
  for (const value of [voice, emotion, speed && speed !== 1 ? `${speed}×` : null, model, job.output?.language ?? language]) if (value) parts.push(value);
  return parts.join(" · ");
}
