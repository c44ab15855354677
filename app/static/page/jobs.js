// The list of jobs: asked for again and again, and kept as it is on the server.

import { get } from "./api.js";
import { byId, show } from "./dom.js";
import { plain } from "./errors.js";
import { say } from "./i18n.js";
import { JobCard } from "./job-card.js";
import { announce } from "./notices.js";
import { forget, isTerminal, jobOf, learn, onNews } from "./store.js";
import { sweepSamples, isHidden } from "./hidden.js";

const PAGE = 20;
const MOST = 200;
const BUSY_MS = 2000;
const CALM_MS = 8000;

const cards = new Map(); // id -> JobCard
let shownAtMost = PAGE;
let timer = null;
let asking = null;

export function setUpJobs() {
  byId("jobs-filter").addEventListener("change", () => {
    for (const card of cards.values()) card.shut(); // what is open is kept, which is not meant here
    refresh();
  });
  byId("jobs-more").addEventListener("click", () => {
    shownAtMost = Math.min(MOST, shownAtMost + PAGE);
    refresh();
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  document.addEventListener("language", () => {
    for (const [id, card] of cards) card.update(jobOf(id));
  });
  document.addEventListener("job-gone", (event) => {
    drop(event.detail);
    byId("jobs-title").focus(); // what had the focus is gone
    show(byId("jobs-empty"), !cards.size);
  });
  onNews((job, before) => {
    cards.get(job.id)?.update(job);
    if (before && !isTerminal(before) && isTerminal(job) && cards.has(job.id)) {
      announce(`announce.${job.status}`, { title: cards.get(job.id).title });
    }
  });
  refresh();
  return { add, refresh };
}

// Shows a job that was just submitted, before the list is asked for.
function add(job) {
  learn(job);
  byId("jobs-filter").value = "";
  if (!cards.has(job.id)) place([job.id, ...cards.keys()]);
  cards.get(job.id).open();
  cards.get(job.id).element.scrollIntoView({ block: "nearest", behavior: "smooth" });
  announce("announce.submitted", { title: cards.get(job.id).title });
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = performance.now();
  const status = byId("jobs-filter").value;
  try {
    const page = await get(`/v1/jobs?limit=${shownAtMost}${status && `&status=${status}`}`, { signal });
    const listed = page.data.filter((job) => !isHidden(job));
    sweepSamples(page.data);
    for (const job of listed) learn(job, asked);
    const ids = listed.map((job) => job.id);
    place([...ids, ...(await keptOpen(ids, signal))]);
    show(byId("jobs-more"), page.has_more && shownAtMost < MOST);
    show(byId("jobs-problem"), false);
  } catch (error) {
    if (error.name === "AbortError") return;
    const { key, args } = plain(error.code, error.message);
    say(byId("jobs-problem"), key, args);
    show(byId("jobs-problem"), error.status !== 401);
  }
  const isBusy = [...cards.keys()].some((id) => !isTerminal(jobOf(id)));
  timer = setTimeout(refresh, isBusy && !document.hidden ? BUSY_MS : CALM_MS);
}

// What somebody looks at or has a link to stays, also when newer jobs push it off the list; unless it is gone.
async function keptOpen(ids, signal) {
  const wanted = [...cards.values()].filter((card) => card.isOpen).map((card) => card.id);
  const linked = location.hash.match(/^#job-([0-9a-z]+)$/)?.[1];
  if (linked && !wanted.includes(linked)) wanted.push(linked);
  const missing = wanted.filter((id) => !ids.includes(id));
  const answers = await Promise.allSettled(missing.map((id) => get(`/v1/jobs/${id}`, { signal })));
  signal.throwIfAborted();
  const found = answers.filter((answer) => answer.status === "fulfilled" && !answer.value.parent).map((answer) => answer.value);
  for (const job of found) learn(job);
  return found.map((job) => job.id);
}

// Makes the list show these jobs in this order; what stays is not touched, so focus and playing go on.
function place(ids) {
  const list = byId("jobs");
  for (const id of cards.keys()) if (!ids.includes(id)) drop(id);
  let before = null;
  for (const id of ids) {
    if (!cards.has(id)) cards.set(id, new JobCard(jobOf(id)));
    const { element } = cards.get(id);
    const next = before ? before.nextElementSibling : list.firstElementChild;
    if (next !== element) list.insertBefore(element, next);
    before = element;
  }
  const ordered = new Map(ids.map((id) => [id, cards.get(id)]));
  cards.clear();
  for (const [id, card] of ordered) cards.set(id, card);
  show(byId("jobs-empty"), !ids.length);
}

function drop(id) {
  cards.get(id)?.close();
  cards.delete(id);
  forget(id);
}
