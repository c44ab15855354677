// Elements from a tag, properties and children. Text is always text, never markup.

import { say, sayIn } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// t: words of the element, label: its aria-label (a key, or [key, args]); on: listeners; data: data-* attributes.
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name === "t") say(element, ...[].concat(value));
    else if (name === "label") sayIn(element, "aria-label", ...[].concat(value));
    else if (name === "tip") sayIn(element, "title", ...[].concat(value));
    else if (name === "on") for (const [type, listen] of Object.entries(value)) element.addEventListener(type, listen);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export function button(key, name, onClick, props = {}) {
  return h("button", { type: "button", class: "button", on: { click: onClick }, ...props }, icon(name), h("span", { t: key }));
}

// A round button with a picture only; its name is for screen readers and as a tip.
export function iconButton(key, name, onClick, props = {}) {
  return h("button", { type: "button", class: "icon-button", label: key, tip: key, on: { click: onClick }, ...props }, icon(name));
}

export function setIcon(element, name) {
  element.querySelector("use").setAttribute("href", `#icon-${name}`);
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}
