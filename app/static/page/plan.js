// What a book would become: its chapters, each with a tick, its length, and what was left out.

import { h } from "./dom.js";
import { length, number } from "./format.js";

export function drawPlan(place, plan, onTick) {
  const total = h("p", { class: "plan-total", role: "status" });
  const boxes = [];
  const count = () => {
    const ticked = plan.chapters.filter((_, index) => boxes[index].checked);
    const seconds = ticked.reduce((sum, chapter) => sum + chapter.seconds_estimated, 0);
    total.replaceChildren(h("span", { t: ["plan.total", { n: ticked.length, of: plan.chapters.length, length: length(seconds) }] }));
    onTick(ticked.length);
  };
  const rows = plan.chapters.map((chapter) => {
    const box = h("input", { type: "checkbox", value: String(chapter.chapter), checked: chapter.selected, on: { change: count } });
    boxes.push(box);
    return h(
      "li",
      {},
      h("label", { class: "tick" }, box, h("span", { class: "name" }, chapter.title)),
      h("span", { class: "hint figure" }, `${length(chapter.seconds_estimated)} · ${number(chapter.characters)}`),
      h("p", { class: "hint first-line" }, chapter.first_line),
    );
  });
  place.replaceChildren(
    h("h3", {}, plan.title, plan.author ? h("span", { class: "hint" }, ` ${plan.author}`) : null),
    total,
    h("ol", { class: "plan-chapters" }, ...rows),
    ...leftOut(plan),
  );
  count();
}

function leftOut(plan) {
  const lines = [
    ...plan.left_out.map(({ title, reason }) => `${title}: ${reason}`),
    ...plan.warnings.map(({ detail }) => detail),
  ];
  if (!lines.length) return [];
  return [
    h("details", {}, h("summary", { t: ["plan.left", { n: lines.length }] }), h("ul", {}, ...lines.map((line) => h("li", { class: "hint" }, line)))),
  ];
}

// Returns the ticked chapters as `1-3,5`; nothing when all are.
export function selection(place) {
  const boxes = [...place.querySelectorAll("input[type=checkbox]")];
  const ticked = boxes.filter((box) => box.checked).map((box) => Number(box.value));
  if (ticked.length === boxes.length) return "";
  const runs = [];
  for (const number of ticked) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}
