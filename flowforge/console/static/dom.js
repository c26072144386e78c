// Elements from texts that are never markup, and a page that is drawn anew without losing focus, scroll or what is open.
const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit", "onkeydown", "ontoggle"];

// h("td.number", {title: "…"}, child, …): children are elements, texts, or lists of them; null and false are left out.
export function h(kind, ...rest) {
  return filled(document.createElement(kind.split(".")[0]), kind, rest);
}

export function svg(kind, ...rest) {
  return filled(document.createElementNS(SVG, kind.split(".")[0]), kind, rest);
}

function filled(element, kind, rest) {
  const [first, ...others] = rest;
  const told = first !== null && typeof first === "object" && !Array.isArray(first) && !(first instanceof Node);
  const classes = kind.split(".").slice(1).join(" ");
  if (classes) element.setAttribute("class", classes);
  element.append(...listed(told ? others : rest));
  for (const [name, value] of Object.entries(told ? first : {})) {
    if (value == null || value === false) continue;
    if (HANDLERS.includes(name) || name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

// Whether a value is shown at all.
export const given = (one) => one != null && one !== false && one !== "";
const listed = (children) => children.flat(Infinity).filter(given);

// Makes these the children of an element. What is alike stays the same element: by data-key, else by place.
export function put(parent, ...children) {
  settle(parent, listed(children).map((one) => (one instanceof Node ? one : document.createTextNode(String(one)))));
}

function settle(parent, wanted) {
  const keyed = new Map([...parent.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
  let place = parent.firstChild;
  for (const fresh of wanted) {
    const key = fresh.dataset?.key;
    const kept = key ? keyed.get(key) : place;
    if (!kept || kept.parentNode !== parent || !alike(kept, fresh)) parent.insertBefore(fresh, place);
    else {
      if (kept === place) place = place.nextSibling;
      else parent.insertBefore(kept, place);
      renew(kept, fresh);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

const alike = (kept, fresh) => kept.nodeName === fresh.nodeName && kept.dataset?.key === fresh.dataset?.key;

function renew(kept, fresh) {
  if (kept.nodeType === Node.TEXT_NODE) {
    if (kept.data !== fresh.data) kept.data = fresh.data;
    return;
  }
  const { value, checked } = fresh;
  for (const { name } of [...kept.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "style") kept.removeAttribute(name);
  }
  for (const one of fresh.attributes) {
    if (one.name !== "open" && one.name !== "style" && kept.getAttribute(one.name) !== one.value) kept.setAttribute(one.name, one.value);
  }
  if (fresh.style?.cssText && kept.style.cssText !== fresh.style.cssText) kept.style.cssText = fresh.style.cssText;
  for (const name of HANDLERS) if (kept[name] !== fresh[name]) kept[name] = fresh[name];
  settle(kept, [...fresh.childNodes]);
  if (kept === document.activeElement || kept.type === "file") return; // a file that was chosen cannot be chosen again by a script
  if (["INPUT", "TEXTAREA", "SELECT"].includes(kept.nodeName) && kept.value !== value) kept.value = value;
  if (kept.nodeName === "INPUT" && kept.checked !== checked) kept.checked = checked;
}
