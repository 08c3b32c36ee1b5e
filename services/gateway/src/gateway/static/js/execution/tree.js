/* Tasks by nesting: a task lies below the one whose reference begins its own. */

export const SHOWN_FIRST = 50;
export const SHOWN_MORE = 500;

export class TaskTree {
  roots = [];
  nodes = new Map();

  /** Tasks must come in order of creation: a parent is created before what it contains. */
  add(task) {
    if (this.nodes.has(task.reference)) return;
    const parent = this.#parentOf(task.reference);
    const depth = parent ? parent.depth + 1 : 0;
    const inside = task.reference.slice(parent ? parent.task.reference.length : 0);
    const node = { task, parent, depth, place: placeOf(inside), children: [], open: true, shown: SHOWN_FIRST, pinned: false };
    this.nodes.set(task.reference, node);
    (parent ? parent.children : this.roots).push(node);
  }

  /**
   * What is to be seen from top to bottom: nodes, and `{more, node}` where children are left out. Of many children the
   * first ones are shown, and whatever of the others needs attention.
   */
  visible(needsAttention) {
    const rows = [];
    const walk = (children, owner) => {
      let left = owner ? owner.shown : Infinity;
      let extra = SHOWN_FIRST;
      let hidden = 0;
      for (const node of children) {
        if (left > 0) left -= 1;
        else if (!node.pinned) {
          if (extra === 0 || !needsAttention(node.task)) {
            hidden += 1;
            continue;
          }
          extra -= 1;
        }
        rows.push({ node });
        if (node.open) walk(node.children, node);
      }
      if (hidden > 0) rows.push({ more: hidden, node: owner });
    };
    walk(this.roots, null);
    return rows;
  }

  /** Open everything above a task, and let none of it be left out, so that it can be seen. */
  reveal(reference) {
    const node = this.nodes.get(reference);
    for (let each = node; each; each = each.parent) {
      each.pinned = true;
      if (each.parent) each.parent.open = true;
    }
    return node;
  }

  #parentOf(reference) {
    for (let end = reference.lastIndexOf("/"); end > 0; end = reference.lastIndexOf("/", end - 1)) {
      const node = this.nodes.get(reference.slice(0, end));
      if (node) return node;
    }
    return null;
  }
}

/** What tells tasks of the same name apart: the turn of a loop, or that it handles an error. */
function placeOf(inside) {
  const turn = /\/for\/(\d+)\//.exec(inside);
  if (turn) return `turn ${Number(turn[1]) + 1}`;
  return inside.startsWith("/catch/") ? "catch" : "";
}
