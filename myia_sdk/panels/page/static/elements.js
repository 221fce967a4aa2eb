// Elements described as plain objects and patched in place: focus, selection and
// scroll position survive every repaint, and text is never parsed as HTML.

const SVG_TAGS = new Set(["svg", "g", "path", "rect", "line", "title"]);

function h(tag, props, ...children) {
  const list = children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== "");
  return { tag, props: props || {}, children: list, key: props ? props.key : undefined };
}

const isText = (node) => typeof node !== "object";

function createNode(node) {
  if (isText(node)) return document.createTextNode(String(node));
  const element = SVG_TAGS.has(node.tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", node.tag)
    : document.createElement(node.tag);
  for (const child of node.children) element.appendChild(createNode(child));
  for (const name of Object.keys(node.props)) setProp(element, name, node.props[name]);
  if (node.props.onmount) queueMicrotask(() => node.props.onmount(element));
  return element;
}

function setProp(element, name, value) {
  if (name === "key" || name === "onmount") return;
  if (name.startsWith("on")) {
    element[name] = value || null;
  } else if (name === "value") {
    const root = element.getRootNode();
    if (root.activeElement !== element || value === "") {
      if (element.value !== String(value)) element.value = value;
    }
  } else if (name === "checked" || name === "indeterminate" || name === "disabled") {
    element[name] = Boolean(value);
  } else if (value === false || value === null || value === undefined) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

function patchNode(element, before, after) {
  if (isText(after)) {
    if (String(before) !== String(after)) element.data = String(after);
    return;
  }
  for (const name of Object.keys(before.props)) {
    if (!(name in after.props)) setProp(element, name, null);
  }
  for (const name of Object.keys(after.props)) {
    const value = after.props[name];
    if (before.props[name] !== value || name === "value" || name === "checked") {
      setProp(element, name, value);
    }
  }
  patchChildren(element, before.children, after.children);
}

const isSame = (a, b) =>
  isText(a) === isText(b) && (isText(a) || (a.tag === b.tag && a.key === b.key));

function patchChildren(parent, before, after) {
  const nodes = Array.from(parent.childNodes);
  const keyed = new Map();
  before.forEach((node, index) => {
    if (!isText(node) && node.key !== undefined) keyed.set(node.key, index);
  });
  const used = new Set();
  const placed = after.map((node, index) => {
    let match = -1;
    if (!isText(node) && node.key !== undefined) {
      if (keyed.has(node.key)) match = keyed.get(node.key);
    } else if (index < before.length && isText(before[index]) === isText(node)
               && (isText(node) || before[index].key === undefined)) {
      match = index;
    }
    if (match >= 0 && !used.has(match) && nodes[match] && isSame(before[match], node)) {
      used.add(match);
      patchNode(nodes[match], before[match], node);
      return nodes[match];
    }
    return createNode(node);
  });
  nodes.forEach((element, index) => {
    if (!used.has(index)) element.remove();
  });
  placed.forEach((element, index) => {
    const current = parent.childNodes[index];
    if (current !== element) parent.insertBefore(element, current || null);
  });
}

function applyOperations(state, operations) {
  const root = { state };
  for (const [name, path, value] of operations) {
    const keys = ["state", ...path];
    const last = keys.pop();
    let target = root;
    for (const key of keys) target = target[key];
    if (name === "del") delete target[last];
    else if (name === "add") target[last] = target[last].concat(value);
    else target[last] = value;
  }
  return root.state;
}
