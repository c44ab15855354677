// The files that were chosen or dropped, each with a way to leave it out again.

import { h, iconButton } from "./dom.js";
import { bytes } from "./format.js";

export class Chosen {
  constructor(list, onChange) {
    this.files = [];
    this.list = list;
    this.onChange = onChange;
  }

  set(files) {
    this.files = [...files];
    this.draw();
  }

  add(files) {
    const same = (a, b) => a.name === b.name && a.size === b.size && a.lastModified === b.lastModified;
    this.set([...this.files, ...files.filter((file) => !this.files.some((other) => same(file, other)))]);
  }

  draw() {
    this.list.replaceChildren(
      ...this.files.map((file) =>
        h(
          "li",
          {},
          h("span", { class: "name" }, file.name),
          h("span", { class: "hint" }, bytes(file.size)),
          iconButton(["chosen.remove", { name: file.name }], "close", () => this.set(this.files.filter((other) => other !== file))),
        ),
      ),
    );
    this.onChange(this.files);
  }
}
