/* JSON for reading and copying. */

import { copyButton } from "./clipboard.js";
import { h } from "./dom.js";
import { bytes } from "./format.js";

const SHOWN_MAX = 40_000;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A block with colours and a button to copy it. */
export function jsonBlock(value, label) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  const shown = h("pre", { class: "json", tabindex: "0", "aria-label": label });
  shown.append(coloured(text.slice(0, SHOWN_MAX)));
  const block = h("div", { class: "json-block" }, copyButton("Copy", () => text), shown);
  if (text.length > SHOWN_MAX) {
    const rest = h("button", { type: "button", on: { click: showAll } }, `Show all of it (${bytes(text.length)})`);
    block.append(rest);
    function showAll() {
      shown.replaceChildren(text); // without colours: a hundred thousand of them would freeze the page
      rest.remove();
    }
  }
  return block;
}

function coloured(text) {
  const made = document.createDocumentFragment();
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    made.append(text.slice(end, found.index));
    const [whole, string, colon] = found;
    if (string === undefined) made.append(h("span", { class: "json-value" }, whole));
    else made.append(h("span", { class: colon ? "json-name" : "json-text" }, string), colon ?? "");
    end = found.index + whole.length;
  }
  made.append(text.slice(end));
  return made;
}
