// The workers and their devices, and how many sentences share a batch.

import { get } from "./api.js";
import { byId, h, icon, show } from "./dom.js";
import { bytes, number } from "./format.js";
import { knows, say, t } from "./i18n.js";

const EVERY_MS = 4000;
const NEEDED = ["tts", "stt"];
const ORDER = ["tts", "stt", "cpu"];
const ICONS = { tts: "speak", stt: "listen" };

export function setUpWorkers() {
  let timer = null;
  let last = null;
  async function refresh() {
    clearTimeout(timer);
    try {
      last = (await get("/v1/workers")).data;
      draw(last);
    } catch (error) {
      showState("bad", error.status === 401 ? "state.key" : "state.away");
    }
    timer = setTimeout(refresh, EVERY_MS * (document.hidden ? 5 : 1));
  }
  document.addEventListener("language", () => last && draw(last));
  refresh();
  return { refresh };
}

function showState(tone, key, args) {
  byId("state").dataset.tone = tone;
  say(byId("state-text"), key, args);
}

function draw(workers) {
  const missing = NEEDED.filter((kind) => !workers.some((worker) => worker.kind === kind));
  if (!missing.length) showState("good", "state.ready", { n: workers.length });
  else showState("warn", "state.missing", { kinds: missing.map((kind) => t(`worker.${kind}`)).join(", ") });
  show(byId("listen-domain"), workers.some((worker) => worker.kind === "stt" && worker.model === "demo"));
  const ordered = workers.toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const place = byId("workers");
  if (!workers.length) place.replaceChildren(h("p", { class: "hint", t: "workers.none" }));
  else place.replaceChildren(h("ul", { class: "worker-list" }, ...ordered.map(row)));
}

function row(worker) {
  const state = worker.draining ? "draining" : worker.jobs_in_hand ? "busy" : "idle";
  return h(
    "li",
    { class: "worker", data: { state } },
    h("div", { class: "worker-head" }, icon(ICONS[worker.kind] ?? "chip"), h("span", { class: "name" }, nameOf(worker)), h("span", { class: "hint" }, t(`worker.${state}`))),
    h("p", { class: "hint" }, [worker.device, worker.precision, worker.engine, shortModel(worker.model)].filter(Boolean).join(" · ")),
    worker.batches ? mates(worker) : null,
    h("p", { class: "hint" }, t("worker.did", { n: worker.jobs ?? 0, memory: bytes(worker.memory_bytes ?? 0) })),
  );
}

// Sentences of different jobs share a batch: the bar shows how full the mean batch was.
function mates(worker) {
  const most = worker.max_batch_rows || 64;
  const mean = worker.mean_batch_rows ?? 0;
  const words = t("worker.mates", { n: number(mean, 1), padding: number(100 * (worker.padding_ratio ?? 0)) });
  return h("div", { class: "mates" }, h("meter", { min: 0, max: Math.log2(most + 1), value: Math.log2(mean + 1), title: words, "aria-label": words }), h("span", { class: "hint figure" }, words));
}

const nameOf = (worker) => (knows(`worker.${worker.kind}`) ? t(`worker.${worker.kind}`) : worker.kind);
const shortModel = (model) => model?.replace(/\/+$/, "").split("/").pop();
