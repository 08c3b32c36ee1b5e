/* Copying, and requests as they would be typed. */

import { announce, h } from "./dom.js";

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without TLS there is no clipboard to write to; selecting and copying still works.
  const area = h("textarea", { class: "unseen" });
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** `make` is called when it is pressed. */
export function copyButton(label, make, props = {}) {
  const button = h("button", { type: "button", class: "small", ...props }, label);
  button.addEventListener("click", async () => {
    await copy(make());
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

/** The key is not in it: what is copied gets pasted into tickets. */
export function curl(method, path, body = undefined) {
  const parts = [`curl -sS ${method === "GET" ? "" : `-X ${method} `}${quoted(location.origin + path)}`];
  parts.push(`-H "Authorization: Bearer $KWE_API_KEY"`);
  if (body !== undefined) {
    parts.push(`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(body))}`);
  }
  return parts.join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
