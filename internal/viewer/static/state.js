import {say} from "./dom.js"
import {clock} from "./format.js"

const element = document.getElementById("state")

// What each state is called. "since" is in the visitor's own time.
const texts = {
  connecting: () => "Connecting…",
  live: () => "Live",
  reconnecting: ({since, reason}) => `Reconnecting since ${clock(since)}${reason ? ` – ${reason}` : ""}`,
  ended: ({status}) => `Ended: ${status}`,
  refused: ({reason}) => `Refused${reason ? `: ${reason}` : ""}`,
  missing: () => "Not found",
}

// showState tells how the page stands with the server; with null, nothing.
export function showState(name, more = {}) {
  element.hidden = !name
  element.dataset.state = name ?? ""
  say(element, name ? texts[name](more) : "")
}
