/**
 * The drafts that the browser has stored for a page, as text. It does so a moment after the typing.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string>}
 */
export function storedDrafts(page) {
  return page.evaluate(async () => {
    const answer = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
    const all = []
    for (const { name } of await indexedDB.databases()) {
      if (!name.startsWith("lamplight:")) continue
      const database = await answer(indexedDB.open(name))
      const drafts = IDBKeyRange.bound("drafts:", "drafts:\uffff")
      all.push(await answer(database.transaction("values").objectStore("values").getAll(drafts)))
      database.close()
    }
    return JSON.stringify(all)
  })
}
