/* Building the document from data. Text is always text: nothing here, or anywhere on the page, parses HTML. */

/**
 * An element. `props`: `on` maps events to listeners, `vars` sets CSS variables, `data` sets data attributes; `true`
 * is an empty attribute, `false` and null none. Children may be nested lists; null and false are left out.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) setProp(element, name, value);
  append(element, children);
  return element;
}

function setProp(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === "vars") {
    for (const [variable, setting] of Object.entries(value)) element.style.setProperty(variable, setting);
  } else if (name === "data") {
    Object.assign(element.dataset, value);
  } else if (name === "href") {
    element.setAttribute("href", localAddress(value));
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Data must not choose where a link leads: only addresses of this page and its server pass. */
function localAddress(address) {
  if (!/^(#|\/(?!\/))/.test(address)) throw new Error(`not a local address: ${address}`);
  return address;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  const made = document.createDocumentFragment();
  append(made, children);
  element.replaceChildren(made);
  return element;
}

/**
 * Make the children of `container` those of `keys`, in this order, with as few changes as possible: elements keep their
 * focus and their place. `known` maps keys to elements and is kept between calls.
 */
export function reconcile(container, known, keys, create) {
  const wanted = new Set(keys);
  for (const [key, element] of known) {
    if (!wanted.has(key)) {
      element.remove();
      known.delete(key);
    }
  }
  let next = container.firstChild;
  for (const key of keys) {
    let element = known.get(key);
    if (element === undefined) {
      element = create(key);
      known.set(key, element);
    }
    if (element === next) next = next.nextSibling;
    else container.insertBefore(element, next);
  }
}

/** Replaces the content of `element` only when `signature` differs from the last one. */
export function fillOnChange(element, signature, make) {
  const text = JSON.stringify(signature) ?? "";
  if (element.signature === text) return;
  element.signature = text;
  fill(element, make());
}

/** Says something to those who listen to the page instead of looking at it. */
export function announce(text) {
  document.getElementById("news").textContent = text;
}
