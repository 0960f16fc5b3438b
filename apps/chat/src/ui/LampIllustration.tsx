/**
 * The hanging lamp of the sign-in page and of empty states. Its light is drawn behind the content below it.
 * Unlit while the page waits.
 */
export function LampIllustration({ lit = true }: { lit?: boolean }) {
  return (
    <div className="lamp-illustration" data-lit={lit} aria-hidden="true">
      {lit && (
        <div className="lamp-illustration-light">
          <span />
        </div>
      )}
      <svg viewBox="0 0 144 120" aria-hidden="true">
        <path className="lamp-illustration-cord" d="M72 -40V46" />
        {lit && <ellipse className="lamp-illustration-bulb" cx="72" cy="110" rx="20" ry="8" />}
        <path
          className="lamp-illustration-shade"
          d="M67 44h10v7c22 3 37 22 42 54a5 5 0 0 1-5 6H30a5 5 0 0 1-5-6c5-32 20-51 42-54z"
        />
      </svg>
    </div>
  )
}
