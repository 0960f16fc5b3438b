/** How dates, numbers and lists are written: the chosen language, with the user's region where that is of the same language. */
let current = "en"

export const locale = (): string => current

export function setLocale(next: string): void {
  current = next
}
