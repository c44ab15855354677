// A job in the list: what it is, how it stands, what can be done. It opens to its result.

import { get, post, remove } from "./api.js";
import { button, h, icon, iconButton, show } from "./dom.js";
import { plain } from "./errors.js";
import { ago, length, number } from "./format.js";
import { say, t, unsay } from "./i18n.js";
import { JobBody } from "./job-body.js";
import { complain } from "./notices.js";
import { isParent, isTerminal, learn, matesOf } from "./store.js";
import { titleOf } from "./titles.js";
import { settle, unwatch, watch } from "./watch.js";

const ICONS = { tts: "speak", stt: "listen", audiobook: "book", chapter: "book", transcripts: "stack", batch: "stack" };

export class JobCard {
  constructor(job) {
    this.id = job.id;
    this.isChild = Boolean(job.parent);
    const bodyId = `body-${job.id}`;
    this.name = h("span", { class: "job-title" });
    this.meta = h("span", { class: "job-meta hint" });
    this.opener = h(
      "button",
      { type: "button", class: "job-open", "aria-expanded": "false", "aria-controls": bodyId, on: { click: () => this.toggle() } },
      h("span", { class: "job-kind" }, icon(ICONS[job.kind] ?? "wave")),
      h("span", { class: "job-names" }, this.name, this.meta),
      h("span", { class: "job-caret" }, icon("down")),
    );
    this.chip = h("span", { class: "chip" });
    this.actions = this.makeActions();
    this.bar = h("progress", { max: 1, label: "job.progress" });
    this.barText = h("span", { class: "hint figure" });
    this.progress = h("div", { class: "job-progress" }, this.bar, this.barText);
    this.why = h("p", { class: "job-why" });
    this.body = h("div", { class: "job-body", id: bodyId, hidden: true });
    this.element = h(
      "li",
      { class: "job", id: `job-${job.id}`, data: { job: job.id, kind: job.kind } },
      h("div", { class: "job-head" }, this.opener, this.chip, h("div", { class: "job-actions" }, ...Object.values(this.actions))),
      this.progress,
      this.why,
      this.body,
    );
    this.update(job);
    watch(this.element);
    if (isAddressed(this.id)) this.open();
  }

  makeActions() {
    return {
      cancel: iconButton("job.cancel", "stop", () => this.act(post(`/v1/jobs/${this.id}/cancel`))),
      retry: iconButton("job.retry", "retry", () => this.act(post(`/v1/jobs/${this.id}/retry`))),
      download: h("a", { class: "icon-button", label: "job.download", tip: "job.download", download: "" }, icon("download")),
      delete: iconButton("job.delete", "bin", () => this.ask()),
    };
  }

  get isOpen() {
    return !this.body.hidden;
  }

  get title() {
    return this.name.textContent;
  }

  async act(answer) {
    try {
      const job = await answer;
      if (job) learn(job);
      settle();
    } catch (error) {
      complain(error);
      get(`/v1/jobs/${this.id}`).then(learn, () => {});
    }
  }

  // Deleting asks once, in place: a result that took hours is not gone by a slip.
  ask() {
    const back = () => {
      question.remove();
      this.actions.delete.focus();
    };
    const yes = async () => {
      try {
        await remove(`/v1/jobs/${this.id}`);
        document.dispatchEvent(new CustomEvent("job-gone", { detail: this.id }));
      } catch (error) {
        complain(error);
        back();
      }
    };
    if (this.element.querySelector(".job-ask")) return;
    const question = h(
      "div",
      { class: "job-ask", role: "group", label: "job.delete.ask", on: { keydown: (event) => event.key === "Escape" && back() } },
      h("p", { t: "job.delete.ask" }),
      button("job.delete.yes", "bin", yes, { class: "button danger" }),
      button("job.delete.no", "close", back),
    );
    this.element.insertBefore(question, this.progress);
    question.querySelector("button").focus();
  }

  update(job) {
    this.job = job;
    const { element } = this;
    element.dataset.status = job.status;
    const title = titleOf(job);
    if (title.text) unsay(this.name, title.text);
    else say(this.name, title.key, title.args);
    unsay(this.meta, metaOf(job));
    say(this.chip, `status.${job.status}`);
    this.chip.className = `chip chip-${job.status}`;
    this.showProgress(job);
    this.showWhy(job);
    this.showActions(job);
    this.shown?.update(job);
  }

  showProgress(job) {
    show(this.progress, !isTerminal(job));
    if (isTerminal(job)) return;
    const { done, total } = job.progress;
    if (job.status === "running" && total > 0) this.bar.value = done / total;
    else this.bar.removeAttribute("value");
    unsay(this.barText, progressWords(job));
  }

  showWhy(job) {
    const failed = job.children?.failed ?? 0;
    if (job.status === "failed" && job.error) {
      const { key, args } = plain(job.error.type, job.error.detail);
      say(this.why, key, args);
    } else if (failed && isTerminal(job)) say(this.why, "job.some-failed", { n: failed, of: job.children.total });
    else unsay(this.why);
    show(this.why, Boolean(this.why.textContent));
  }

  showActions(job) {
    const { cancel, retry, download, delete: bin } = this.actions;
    const broken = ["failed", "canceled"].includes(job.status) || (job.status === "succeeded" && isParent(job) && job.children?.failed > 0);
    const result = mainFile(job);
    show(cancel, !isTerminal(job));
    show(retry, broken && !this.isChild);
    show(download, Boolean(result));
    show(bin, isTerminal(job) && !this.isChild);
    if (result) {
      download.href = result.url;
      download.setAttribute("download", result.name);
    }
  }

  toggle() {
    if (this.isOpen) this.shut();
    else this.open();
  }

  open() {
    if (this.isOpen) return;
    this.shown = new JobBody(this.body, this.job, JobCard);
    this.opener.setAttribute("aria-expanded", "true");
    show(this.body, true);
    if (!this.isChild) history.replaceState(null, "", `#job-${this.id}`);
  }

  shut() {
    if (!this.isOpen) return;
    this.shown?.close();
    this.shown = null;
    this.body.replaceChildren();
    this.opener.setAttribute("aria-expanded", "false");
    show(this.body, false);
    if (isAddressed(this.id)) history.replaceState(null, "", location.pathname);
  }

  close() {
    this.shown?.close();
    unwatch(this.element);
    this.element.remove();
  }
}

const isAddressed = (id) => location.hash === `#job-${id}`;

// The file that people mean by "the result": the book, the archive, the sound, the text.
function mainFile(job) {
  const files = job.output?.files ?? [];
  const order = [/\.m4b$/, /\.zip$/, /\.(mp3|m4a|wav|opus|flac|aac|pcm)$/, /\.txt$/, /\.srt$/, /./];
  return order.map((pattern) => files.find((file) => pattern.test(file.name))).find(Boolean);
}

function metaOf(job) {
  const parts = [t(`kind.${job.kind}`)];
  const seconds = job.output?.duration_seconds;
  if (seconds) parts.push(length(seconds));
  if (job.output?.reused) parts.push(t("job.reused"));
  if (job.children?.total) parts.push(t(`children.${job.kind}`, { n: job.children.total }));
  parts.push(ago(job.finished_at ?? job.created_at));
  return parts.join(" · ");
}

function progressWords(job) {
  if (job.status === "queued") {
    const before = job.queue_position;
    if (before === null || before === undefined) return t("queue.waiting");
    return before ? t("queue.before", { n: before }) : t("queue.next");
  }
  const { done, total, unit } = job.progress;
  if (!total) return t("progress.starting");
  const parts = [t("progress.of", { done: number(done), total: number(total), unit: t(`unit.${unit.replace(/s$/, "")}`, { n: total }) })];
  const ran = job.metrics?.running_seconds ?? 0;
  if (ran > 5 && done > 0 && done < total) parts.push(t("progress.left", { length: length((ran / done) * (total - done)) }));
  const mates = matesOf(job);
  if (mates) parts.push(t("progress.mates", { n: number(mates) }));
  return parts.join(" · ");
}
