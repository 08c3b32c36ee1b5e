/* An answer with its citations, or passages that were found, where an output has such a shape. */

import { h } from "../dom.js";

/** What can be read as an answer in an output; null where there is nothing of the kind. */
export function answerIn(output) {
  if (!output || typeof output !== "object" || Array.isArray(output)) return null;
  const text = [output.answer, output.text].find((each) => typeof each === "string");
  const citations = passagesIn(output.citations);
  const hits = passagesIn(output.hits ?? output.passages);
  if (text === undefined && hits.length === 0) return null;
  const { provider, model, answered } = output;
  return { text, citations, hits, provider, model, answered };
}

function passagesIn(list) {
  if (!Array.isArray(list)) return [];
  return list.filter((each) => each && typeof each === "object" && typeof each.text === "string");
}

export function answerView(answer) {
  const passages = answer.citations.length > 0 ? answer.citations : answer.hits;
  const cards = passages.map(passageCard);
  const byNumber = new Map(cards.map((card) => [card.dataset.number, card]));
  return h("div", { class: "answer" },
    answer.text === undefined ? null : h("p", { class: "answer-text" }, withMarks(answer.text, byNumber)),
    answer.answered === false ? h("p", { class: "hint" }, "No document answers this question. Ingest one that does, or ask differently.") : null,
    madeBy(answer),
    cards.length > 0 ? h("h3", {}, answer.citations.length > 0 ? "Citations" : "Passages") : null,
    h("ol", { class: "passages" }, cards),
  );
}

/** `[2]` in the text leads to the passage of this number. */
function withMarks(text, byNumber) {
  return text.split(/(\[\d{1,3}\])/).map((part) => {
    const card = byNumber.get(/^\[(\d+)\]$/.exec(part)?.[1]);
    if (!card) return part;
    return h("button", { type: "button", class: "mark", "aria-label": `Citation ${part}`, on: { click: () => highlight(card) } }, part.slice(1, -1));
  });
}

function highlight(card) {
  card.scrollIntoView({ block: "nearest", behavior: "smooth" });
  card.focus();
}

function passageCard(passage, index) {
  const number = String(passage.number ?? index + 1);
  const document = passage.title || passage.document || passage.id || "document";
  const facts = [
    passage.section,
    passage.id && passage.id !== document ? passage.id : null,
    Number.isInteger(passage.start) && Number.isInteger(passage.end) ? `characters ${passage.start}–${passage.end}` : null,
    typeof passage.score === "number" ? `score ${passage.score.toFixed(2)}` : null,
  ];
  return h("li", { class: "passage", tabindex: "-1", data: { number } },
    h("span", { class: "mark", "aria-hidden": "true" }, number),
    h("div", {},
      h("div", { class: "passage-head" }, h("strong", {}, String(document)),
        h("span", { class: "quiet" }, facts.filter(Boolean).join(" · "))),
      h("blockquote", {}, passage.text),
    ),
  );
}

function madeBy(answer) {
  if (!answer.provider && !answer.model) return null;
  const by = [answer.provider, answer.model].filter((each) => typeof each === "string").join(" · ");
  const note = answer.provider === "extractive" ? ": quoted from the passages, without a language model" : "";
  return h("p", { class: "quiet" }, `${by}${note}`);
}
