// The flow of a job as a graph: parents left of their children, lines between them.

function flowNode(panel, node, isCurrent) {
  const { words } = panel;
  const parts = [
    h("span", { class: "myia-flow-name" }, dot(panel, node.state), " ", node.name),
    h("code", { class: "myia-id" }, node.id),
    h("span", { class: "myia-muted" }, words.state(node.state)),
    node.is_here ? null : h("span", { class: "myia-muted" }, words.t("flow.queue", { name: node.queue })),
  ];
  const look = { class: `myia-flow-node${isCurrent ? " myia-flow-current" : ""}`, title: node.key };
  if (!node.is_here) return h("div", look, parts);
  // The chosen job stays a button, so that it keeps the focus of the click.
  const open = isCurrent ? null : () => panel.act("open", { id: node.id });
  return h("button", { type: "button", ...look, "aria-current": isCurrent ? "true" : null, onclick: open }, parts);
}

function flowBranch(panel, key, children) {
  const { flow, row } = panel.state.detail;
  const node = flow.nodes[key];
  const below = children.get(key) || [];
  const more = node.more
    ? h("li", { key: "more" }, h("div", { class: "myia-flow-more" }, panel.words.t("flow.more", { count: panel.words.count(node.more) }))) : null;
  return h("li", { key },
    flowNode(panel, node, node.is_here && node.id === row.id),
    below.length || more ? h("ul", {}, below.map((one) => flowBranch(panel, one, children)), more) : null);
}

function flowView(panel, detail) {
  const { words } = panel;
  const { flow } = detail;
  if (!flow) return h("p", { class: "myia-empty" }, words.t("flow.loading"));
  const children = new Map();
  for (const key of flow.order) {
    const { parent } = flow.nodes[key];
    children.set(parent, [...(children.get(parent) || []), key]);
  }
  const isCut = flow.has_hidden_parent || flow.order.some((key) => flow.nodes[key].more);
  return h("div", {},
    h("div", {
      class: "myia-flow", tabindex: "0", role: "group", "aria-label": words.t("flow"),
      onmount: (element) => {
        const current = element.querySelector(".myia-flow-current");
        if (current) element.scrollTop = current.offsetTop - 60;
      },
    },
      flow.has_hidden_parent ? h("p", { class: "myia-muted" }, words.t("flow.above")) : null,
      h("ul", { class: "myia-flow-top" }, children.get(null).map((key) => flowBranch(panel, key, children)))),
    isCut ? h("p", { class: "myia-muted" }, words.t("flow.cut")) : null);
}
