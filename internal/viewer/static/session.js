// The API key lives in the tab: a copy of the tab's session storage is all there
// is, and it goes with the tab or at signing out.

const name = "milepost.key"

export const key = () => sessionStorage.getItem(name) ?? ""
export const keep = value => sessionStorage.setItem(name, value)
export const forget = () => sessionStorage.removeItem(name)
