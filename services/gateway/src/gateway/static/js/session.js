/* The credential of this tab. It is gone when the tab is closed, and other tabs do not have it. */

const NAME = "kwe.credential";
const listeners = new Set();

export function credential() {
  return sessionStorage.getItem(NAME);
}

export function signIn(text) {
  sessionStorage.setItem(NAME, text);
  tell("");
}

/** `reason` is shown on the sign-in page. */
export function signOut(reason = "") {
  sessionStorage.removeItem(NAME);
  tell(reason);
}

export function onSession(listener) {
  listeners.add(listener);
}

function tell(reason) {
  for (const listener of listeners) listener(reason);
}
