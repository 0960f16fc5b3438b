import { type ReactNode, useState } from "react"
import { accountReason } from "../ui/failure"

/** The result of the last attempt, and whether one is running. */
export function useAttempt() {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [done, setDone] = useState<string | null>(null)

  async function attempt(work: () => Promise<unknown>, success: string): Promise<boolean> {
    setBusy(true)
    setProblem(null)
    setDone(null)
    try {
      await work()
      setDone(success)
      return true
    } catch (thrown) {
      setProblem(accountReason(thrown))
      return false
    } finally {
      setBusy(false)
    }
  }

  return { busy, problem, done, attempt }
}

export function Outcome({ problem, done }: { problem: string | null; done: string | null }) {
  return (
    <>
      <div role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
        {problem}
      </div>
      <div role="status" className={done ? "dialog-done" : "sr-only"}>
        {done}
      </div>
    </>
  )
}

export function Section({ title, lead, children }: { title: string; lead: string; children?: ReactNode }) {
  return (
    <section className="dialog-section">
      <h3 className="dialog-title">{title}</h3>
      <p className="dialog-lead">{lead}</p>
      {children}
    </section>
  )
}
