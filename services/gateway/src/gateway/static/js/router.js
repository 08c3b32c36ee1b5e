/* Addresses of this page: everything that can be looked at has one, after the `#`. */

/** `#/executions/ID?task=…` → {parts: ["executions", "ID"], query: URLSearchParams} */
export function currentRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodePart), query: new URLSearchParams(query) };
}

/** Change the query of the present address without a new entry in the browser's history, and without `hashchange`. */
export function replaceQuery(query) {
  const [path] = location.hash.split("?");
  const text = query.toString();
  history.replaceState(null, "", `${path || "#/executions"}${text ? `?${text}` : ""}`);
}

function decodePart(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
