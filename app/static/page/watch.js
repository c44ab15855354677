// Server-sent events for the running jobs that can be seen. Browsers allow six connections to a host, so a few at most;
// the others are heard of when the list is asked for.

import { forget, isTerminal, jobOf, learn } from "./store.js";

const MOST = 3;
const visible = new Set(); // IDs of jobs on the screen
const open = new Map(); // id -> EventSource

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && target.isConnected) visible.add(target.dataset.job);
    else visible.delete(target.dataset.job);
  }
  settle();
});

export function watch(element) {
  seen.observe(element);
}

export function unwatch(element) {
  seen.unobserve(element);
  visible.delete(element.dataset.job);
  settle();
}

const rank = (job) => (job.status === "running" ? 0 : 1);

export function settle() {
  const wanted = [...visible]
    .map(jobOf)
    .filter((job) => job && !isTerminal(job))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, MOST)
    .map((job) => job.id);
  for (const [id, source] of open) {
    if (!wanted.includes(id)) {
      source.close();
      open.delete(id);
    }
  }
  for (const id of wanted) if (!open.has(id)) open.set(id, listen(id));
}

function listen(id) {
  const source = new EventSource(`/v1/jobs/${id}/events`);
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    learn(job);
    if (isTerminal(job)) settle();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself
    open.delete(id);
    if (!jobOf(id)) forget(id);
  });
  return source;
}

addEventListener("pagehide", () => {
  for (const source of open.values()) source.close();
  open.clear();
});
