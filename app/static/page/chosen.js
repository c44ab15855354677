// The files that were chosen or dropped, each with a way to leave it out again.

import { h, iconButton } from "./dom.js";
import { pathOf } from "./dropped.js";
import { bytes } from "./format.js";
import { isList } from "./lists.js";

export class Chosen {
  // listKey: the words for what a list of much work is here.
  constructor(list, onChange, listKey = "chosen.list") {
    this.files = [];
    this.listKey = listKey;
    this.list = list;
    this.onChange = onChange;
  }

  set(files) {
    this.files = [...files];
    this.draw();
  }

  add(files) {
    const same = (a, b) => pathOf(a) === pathOf(b) && a.size === b.size && a.lastModified === b.lastModified;
    this.set([...this.files, ...files.filter((file) => !this.files.some((other) => same(file, other)))]);
  }

  draw() {
    this.list.replaceChildren(
      ...this.files.map((file) =>
        h(
          "li",
          {},
          h("span", { class: "name" }, pathOf(file)),
          isList(file) ? h("span", { class: "hint what", t: this.listKey }) : null,
          h("span", { class: "hint" }, bytes(file.size)),
          iconButton(["chosen.remove", { name: pathOf(file) }], "close", () => this.set(this.files.filter((other) => other !== file))),
        ),
      ),
    );
    this.onChange(this.files);
  }
}
