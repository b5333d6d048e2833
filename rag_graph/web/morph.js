/** Turns one tree into another by the fewest changes, so that focus, hover and selection survive a re-rendering. */

export function morph(target, source) {
  const old = [...target.childNodes];
  const wanted = [...source.childNodes];
  wanted.forEach((next, index) => change(target, old[index], next));
  for (const left of old.slice(wanted.length)) left.remove();
}

function change(parent, old, next) {
  if (!old) parent.append(next);
  else if (old.isEqualNode(next)) return;
  else if (old.nodeType === Node.TEXT_NODE && next.nodeType === Node.TEXT_NODE) changeText(old, next.data);
  else if (old.nodeType === Node.ELEMENT_NODE && old.nodeName === next.nodeName) {
    changeAttributes(old, next);
    morph(old, next);
  } else old.replaceWith(next);
}

function changeText(node, data) {
  if (data.startsWith(node.data)) node.appendData(data.slice(node.length));
  else node.data = data;
}

function changeAttributes(old, next) {
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}
