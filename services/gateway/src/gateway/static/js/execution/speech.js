/* What language models are saying right now. It is shown while it comes and kept nowhere. */

import { h } from "../dom.js";

export class Speech {
  #voices = new Map();

  constructor() {
    this.element = h("div", { class: "voices" });
  }

  add({ reference, task, text, try: attempt }) {
    let voice = this.#voices.get(reference);
    if (!voice || voice.attempt !== attempt) {
      voice?.panel.remove();
      const said = h("p", { class: "speech" });
      const panel = h("section", { class: "panel", "aria-label": `${task} is answering` }, h("h2", {}, task, h("span", { class: "live live" }, attempt > 1 ? `answering, try ${attempt}` : "answering")), said);
      voice = { attempt, said, panel };
      this.#voices.set(reference, voice);
      this.element.append(panel);
    }
    voice.said.append(text);
  }

  end(reference) {
    this.#voices.get(reference)?.panel.remove();
    this.#voices.delete(reference);
  }

  /** For the detail of a task: what it has said so far. */
  of(reference) {
    const voice = this.#voices.get(reference);
    return voice ? h("p", { class: "speech" }, voice.said.textContent) : null;
  }
}
