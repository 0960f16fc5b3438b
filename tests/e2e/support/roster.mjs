// The presence of users as a page would show it: older versions are dropped.

export class RosterView {
  /** Each user's newest presence, by user id; without a `status` if offline. */
  users = new Map()

  /** Applies an event of the server; events other than presence are ignored. */
  take(name, data) {
    if (name === "online_users") {
      const listed = new Set(data.users.map((one) => one.userId))
      for (const [userId, one] of this.users) {
        if (!listed.has(userId) && one.version <= data.version) this.users.delete(userId)
      }
      for (const one of data.users) this.know(one)
    } else if (name === "presence_changes") for (const one of data.changes) this.know(one)
    else if (/^user_(online|updated|offline)$/.test(name)) this.know(data)
  }

  know(one) {
    const known = this.users.get(one.userId)
    if (!known || known.version <= one.version) this.users.set(one.userId, one)
  }

  /** The ids of online users. */
  online() {
    return [...this.users.values()]
      .filter((one) => one.status && one.status !== "offline")
      .map((one) => one.userId)
  }
}
