// The jobs as last heard of. News may come late (a slow answer to an old question): older news does not replace newer.

export const isTerminal = (job) => ["succeeded", "failed", "canceled"].includes(job.status);
export const isParent = (job) => ["audiobook", "transcripts", "batch"].includes(job.kind);

const known = new Map(); // id -> {job, asked}
const listeners = new Set();

export const jobOf = (id) => known.get(id)?.job;

// `asked`: when this was asked for (performance.now()), or now for what the server tells by itself.
export function learn(job, asked = performance.now()) {
  const before = known.get(job.id);
  if (before && before.asked > asked) return before.job;
  known.set(job.id, { job, asked });
  for (const listen of listeners) listen(job, before?.job);
  return job;
}

const ENGINES = { tts: "tts", chapter: "tts", stt: "stt" };

// How many other jobs of the list run on the same engines now: their sentences share its batches.
export function matesOf(job) {
  const shares = ({ job: other }) => other.id !== job.id && other.status === "running" && ENGINES[other.kind] === ENGINES[job.kind];
  return ENGINES[job.kind] ? [...known.values()].filter(shares).length : 0;
}

export function forget(id) {
  known.delete(id);
}

export function onNews(listen) {
  listeners.add(listen);
}
