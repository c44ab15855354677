// Samples and plans are jobs that the page makes for itself: not listed, and removed if a reload left them behind.

import { remove } from "./api.js";
import { SAMPLE_MARK } from "./sample.js";
import { isTerminal } from "./store.js";

const LEFT_BEHIND_MS = 10 * 60 * 1000;

export const isHidden = (job) => SAMPLE_MARK in (job.metadata ?? {});

export function sweepSamples(jobs) {
  for (const job of jobs) {
    if (isHidden(job) && isTerminal(job) && Date.now() - Date.parse(job.finished_at) > LEFT_BEHIND_MS) {
      remove(`/v1/jobs/${job.id}`).catch(() => {});
    }
  }
}
