/* What the definition says at the place of a task. */

import { get } from "../api.js";

/** The definition of an execution's version; null where the credential may not read it. */
export async function loadDefinition({ namespace, name, version }) {
  const path = ["/v1/workflows", namespace, name, "versions", version].map((part, index) => (index ? encodeURIComponent(part) : part));
  try {
    return (await get(path.join("/"))).definition;
  } catch {
    return null; // the page is whole without it
  }
}

/**
 * Follow a reference, such as `/do/1/loop/for/3/do/0/step`, through the definition. References have the number of the
 * turn after `for`, where the definition has nothing.
 */
export function snippetAt(definition, reference) {
  let value = definition;
  const parts = reference.split("/").slice(1);
  for (let index = 0; index < parts.length; index += 1) {
    if (value === null || typeof value !== "object") return undefined;
    const part = parts[index].replaceAll("~1", "/").replaceAll("~0", "~");
    if (part === "for" && /^\d+$/.test(parts[index + 1] ?? "") && !Array.isArray(value.for)) index += 1;
    else if (Object.hasOwn(value, part)) value = value[part];
    else return undefined;
  }
  return value;
}
