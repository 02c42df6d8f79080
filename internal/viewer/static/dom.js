// Elements are made here and nowhere else. Whatever a client wrote arrives as a
// string and becomes a text node or the value of an attribute; nothing is parsed.

const svgNamespace = "http://www.w3.org/2000/svg"

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? "" : String(value))
  }
  element.append(...children.flat().filter(c => c !== undefined && c !== null && c !== false).map(c => (c instanceof Node ? c : String(c))))
  return element
}

// h makes an HTML element. An attribute whose name begins with "on" is a listener
// and must be a function.
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children)

// s makes an SVG element.
export const s = (name, attributes, ...children) => fill(document.createElementNS(svgNamespace, name), attributes, children)

// put replaces what an element holds.
export function put(element, ...children) {
  element.replaceChildren()
  return fill(element, null, children)
}

// say changes a text only if it differs, so that nothing is laid out or read out
// again for nothing.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// every calls f each ms milliseconds while the page is shown, and when it is shown
// again. It returns what ends that.
export function every(ms, f) {
  const tick = () => { if (!document.hidden) f() }
  const timer = setInterval(tick, ms)
  document.addEventListener("visibilitychange", tick)
  return () => {
    clearInterval(timer)
    document.removeEventListener("visibilitychange", tick)
  }
}
